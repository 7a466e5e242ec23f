// Package timlogin signs users in to an instant messaging service with libtim.
//
// A client is safe for use by several goroutines. Completions and events are polled on one goroutine;
// no thread of the library ever calls into Go.
package timlogin

/*
#cgo LDFLAGS: -ltim
#include <stdlib.h>
#include <tim.h>

// user_data carries a number, which must not look like a pointer to Go.
static int32_t start_login(tim_client c, const char *user_id, const char *user_sig, uint64_t n) {
	return tim_login(c, user_id, user_sig, NULL, (void *)(uintptr_t)n);
}
static int32_t start_logout(tim_client c, uint64_t n) { return tim_logout(c, NULL, (void *)(uintptr_t)n); }
static int32_t start_renewal(tim_client c, const char *user_sig, uint64_t n) {
	return tim_renew_user_sig(c, user_sig, NULL, (void *)(uintptr_t)n);
}
*/
import "C"

import (
	"context"
	"encoding/json"
	"runtime"
	"strings"
	"unsafe"
)

// Config holds the keys of tim.h's configuration. Zero values are left out.
type Config struct {
	ServerURL            string     `json:"server_url"`
	SDKAppID             uint32     `json:"sdk_app_id"`
	Name                 string     `json:"name,omitempty"`
	DeviceID             string     `json:"device_id,omitempty"`
	Platform             string     `json:"platform,omitempty"`
	DeviceName           string     `json:"device_name,omitempty"`
	LoginTimeoutMS       int        `json:"login_timeout_ms,omitempty"`
	RequestTimeoutMS     int        `json:"request_timeout_ms,omitempty"`
	Reconnect            *Reconnect `json:"reconnect,omitempty"`
	UserSigExpiringLeadS int        `json:"user_sig_expiring_lead_s,omitempty"`
	CAFile               string     `json:"ca_file,omitempty"`
	SystemRoots          bool       `json:"system_roots,omitempty"`
	Proxy                string     `json:"proxy,omitempty"`
	AllowPlaintext       bool       `json:"allow_plaintext,omitempty"`
}

// Reconnect bounds the waits between attempts to reconnect.
type Reconnect struct {
	FirstMS int `json:"first_ms,omitempty"`
	MaxMS   int `json:"max_ms,omitempty"`
}

// Hint is what an app knows about the device.
type Hint int32

// The hints for Notify.
const (
	NetworkChanged Hint = C.TIM_HINT_NETWORK_CHANGED
	Foreground     Hint = C.TIM_HINT_FOREGROUND
)

// Client manages the login of one user. Close it when it is no longer needed; one that is forgotten is closed
// by the garbage collector.
type Client struct {
	*core
}

// New creates a client. Its error names the key if the configuration is wrong.
func New(config Config) (*Client, error) {
	text, err := json.Marshal(struct {
		Config
		EventDelivery string `json:"event_delivery"`
	}{config, "poll"})
	if err != nil {
		return nil, err
	}
	cConfig := C.CString(string(text))
	defer C.free(unsafe.Pointer(cConfig))
	var handle C.tim_client
	var message [512]C.char
	if code := C.tim_client_create(cConfig, &handle, &message[0], 512); code != C.TIM_OK {
		err := errorOf(code)
		err.Message = C.GoString(&message[0])
		return nil, err
	}
	client := &Client{newCore(handle)}
	// The goroutines know only the core, so a client can be forgotten.
	runtime.SetFinalizer(client, func(client *Client) { C.tim_client_destroy(client.handle, 0) })
	return client, nil
}

// Login logs a user in. If ctx ends first, Login returns its error, and the login goes on.
func (c *Client) Login(ctx context.Context, userID, userSig string) error {
	user, err := cText(userID, C.TIM_ERR_INVALID_USER_ID)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(user))
	sig, err := cText(userSig, C.TIM_ERR_USER_SIG_UNREADABLE)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(sig))
	return c.call(ctx, func(n C.uint64_t) C.int32_t { return C.start_login(c.handle, user, sig, n) })
}

// Logout logs the user out. An error says that the server does not know of it yet.
func (c *Client) Logout(ctx context.Context) error {
	return c.call(ctx, func(n C.uint64_t) C.int32_t { return C.start_logout(c.handle, n) })
}

// RenewUserSig replaces the ticket of the session, without interrupting it.
func (c *Client) RenewUserSig(ctx context.Context, userSig string) error {
	sig, err := cText(userSig, C.TIM_ERR_USER_SIG_UNREADABLE)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(sig))
	return c.call(ctx, func(n C.uint64_t) C.int32_t { return C.start_renewal(c.handle, sig, n) })
}

// Notify tells the library what it cannot see for itself.
func (c *Client) Notify(hint Hint) error {
	defer runtime.KeepAlive(c)
	if code := C.tim_notify(c.handle, C.int32_t(hint)); code != C.TIM_OK {
		return errorOf(code)
	}
	return nil
}

// Events returns the channel of events. It is closed when the client has closed; up to 16 events that were
// not read by then can still be read. While the channel is full, a connection event replaces the one before it.
//
// A client whose events were asked for is not forgotten: Close it.
func (c *Client) Events() <-chan Event {
	runtime.SetFinalizer(c, nil)
	return c.events
}

// Status says whether somebody is logged in.
func (c *Client) Status() LoginStatus {
	defer runtime.KeepAlive(c)
	return LoginStatus(C.tim_get_login_status(c.handle))
}

// Connection is the status of the connection to the server.
func (c *Client) Connection() ConnectionStatus {
	defer runtime.KeepAlive(c)
	return ConnectionStatus(C.tim_get_connection_status(c.handle))
}

// User is the user who is logged in, or the empty string.
func (c *Client) User() string {
	defer runtime.KeepAlive(c)
	return copied(func(buffer *C.char, capacity C.size_t, length *C.size_t) C.int32_t {
		return C.tim_get_login_user(c.handle, buffer, capacity, length)
	})
}

// ServerTimeMS is the server's Unix time in milliseconds. It is an error before the first login.
func (c *Client) ServerTimeMS() (int64, error) {
	defer runtime.KeepAlive(c)
	var time C.int64_t
	if code := C.tim_get_server_time_ms(c.handle, &time); code != C.TIM_OK {
		return 0, errorOf(code)
	}
	return int64(time), nil
}

// Close closes the client and waits for its end: pending calls fail with TIM_ERR_INTERRUPTED. It does not
// log out. A second Close does nothing.
func (c *Client) Close() {
	runtime.SetFinalizer(c, nil)
	C.tim_client_destroy(c.handle, 0)
	<-c.closed
}

// call makes a call and waits for its end. The client is in use until then.
func (c *Client) call(ctx context.Context, start func(C.uint64_t) C.int32_t) error {
	defer runtime.KeepAlive(c)
	if err := ctx.Err(); err != nil {
		return err
	}
	number, done := c.expect()
	if code := start(C.uint64_t(number)); code != C.TIM_OK {
		c.forget(number)
		return errorOf(code)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cText returns a text for C, to be freed. A NUL would end it early, so it gets the library's error.
func cText(text string, code C.int32_t) (*C.char, error) {
	if strings.ContainsRune(text, 0) {
		return nil, errorOf(code)
	}
	return C.CString(text), nil
}
