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
static uint64_t number_of(const tim_event *event) { return (uint64_t)(uintptr_t)event->user_data; }
static int32_t type_of(const tim_event *event) { return event->type; }
*/
import "C"

import (
	"context"
	"encoding/json"
	"runtime"
	"strconv"
	"strings"
	"sync"
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

	EventDelivery string `json:"event_delivery"` // set by New
}

// Reconnect bounds the waits between attempts to reconnect.
type Reconnect struct {
	FirstMS int `json:"first_ms,omitempty"`
	MaxMS   int `json:"max_ms,omitempty"`
}

// AppID reads an app's number; 0, which New rejects, if the text is none.
func AppID(text string) uint32 {
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(id)
}

// LoginStatus says whether somebody is logged in.
type LoginStatus int32

// The login statuses. A closed client has status 0.
const (
	LoggedIn  LoginStatus = C.TIM_LOGIN_STATUS_LOGGED_IN
	LoggingIn LoginStatus = C.TIM_LOGIN_STATUS_LOGGING_IN
	LoggedOut LoginStatus = C.TIM_LOGIN_STATUS_LOGGED_OUT
)

// ConnectionStatus is the status of the connection to the server.
type ConnectionStatus int32

// The connection statuses. A closed client has status 0.
const (
	Connected     ConnectionStatus = C.TIM_CONNECTION_STATUS_CONNECTED
	Disconnected  ConnectionStatus = C.TIM_CONNECTION_STATUS_DISCONNECTED
	Connecting    ConnectionStatus = C.TIM_CONNECTION_STATUS_CONNECTING
	ConnectFailed ConnectionStatus = C.TIM_CONNECTION_STATUS_CONNECT_FAILED
)

// Hint is what an app knows about the device.
type Hint int32

// The hints for Notify.
const (
	NetworkChanged Hint = C.TIM_HINT_NETWORK_CHANGED
	Foreground     Hint = C.TIM_HINT_FOREGROUND
)

// Error is a call that was rejected or failed.
type Error struct {
	Code         int    // TIM_ERR_* of tim.h
	Name         string // as tim.h spells it
	Message      string
	Retryable    bool  // the same call may succeed later, unchanged
	RetryAfterMS int64 // how long the server asks to wait; 0 if it does not say
}

func (e *Error) Error() string { return e.Message + " (" + e.Name + ")" }

// Is reports whether both have the same code, for errors.Is.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code
}

func errorOf(code C.int32_t) *Error {
	return &Error{
		Code:      int(code),
		Name:      C.GoString(C.tim_error_name(code)),
		Message:   C.GoString(C.tim_error_message(code)),
		Retryable: C.tim_error_is_retryable(code) == 1,
	}
}

// Event is one of ConnectionChanged, KickedOffline, UserSigExpired and UserSigExpiring.
type Event interface{ isEvent() }

// ConnectionChanged says that the status of the connection changed.
type ConnectionChanged struct {
	Status  ConnectionStatus
	Code    int // 0, or the cause
	Message string
	LoginID uint64
}

// KickedOffline says that another login took the session over, or that the server ended it.
type KickedOffline struct {
	Code    int
	Message string
	LoginID uint64
	By      *KickInfo // nil if it is not known
}

// KickInfo says who took a session over.
type KickInfo struct {
	LoginID    uint64 `json:"login_id"`
	Cause      string `json:"cause"`
	Platform   string `json:"platform"`
	DeviceName string `json:"device_name"`
	TimeMS     int64  `json:"time_ms"`
}

// UserSigExpired says that the ticket has expired or was revoked: log in with a new one.
type UserSigExpired struct {
	Code    int
	Message string
	LoginID uint64
}

// UserSigExpiring says that the ticket expires soon: get a new one and renew.
type UserSigExpiring struct {
	SecondsLeft int64
	LoginID     uint64
}

func (ConnectionChanged) isEvent() {}
func (KickedOffline) isEvent()     {}
func (UserSigExpired) isEvent()    {}
func (UserSigExpiring) isEvent()   {}

// Client manages the login of one user. Close it when it is no longer needed.
type Client struct {
	*core
}

type core struct {
	handle C.tim_client
	events chan Event
	queued chan Event
	closed chan struct{}

	mutex   sync.Mutex
	last    uint64
	pending map[uint64]chan error
}

// New creates a client. Its error names the key if the configuration is wrong.
func New(config Config) (*Client, error) {
	config.EventDelivery = "poll"
	text, err := json.Marshal(config)
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
	inner := &core{
		handle:  handle,
		events:  make(chan Event),
		queued:  make(chan Event),
		closed:  make(chan struct{}),
		pending: make(map[uint64]chan error),
	}
	go inner.poll()
	go inner.pump()
	client := &Client{inner}
	// A client that is forgotten is closed: the goroutines only know the core.
	runtime.SetFinalizer(client, func(client *Client) { C.tim_client_destroy(client.handle, 0) })
	return client, nil
}

// Login logs a user in. If ctx ends first, Login returns its error, and the login goes on.
func (c *Client) Login(ctx context.Context, userID, userSig string) error {
	user, sig, err := texts(userID, C.TIM_ERR_INVALID_USER_ID, userSig)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(user))
	defer C.free(unsafe.Pointer(sig))
	return c.call(ctx, func(n C.uint64_t) C.int32_t { return C.start_login(c.handle, user, sig, n) })
}

// Logout logs the user out. An error says that the server does not know of it yet.
func (c *Client) Logout(ctx context.Context) error {
	return c.call(ctx, func(n C.uint64_t) C.int32_t { return C.start_logout(c.handle, n) })
}

// RenewUserSig replaces the ticket of the session, without interrupting it.
func (c *Client) RenewUserSig(ctx context.Context, userSig string) error {
	sig, other, err := texts(userSig, C.TIM_ERR_USER_SIG_UNREADABLE, "")
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(sig))
	defer C.free(unsafe.Pointer(other))
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

// Events returns the channel of events. It is closed when the client has closed.
func (c *Client) Events() <-chan Event { return c.events }

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

// Close closes the client: pending calls fail with TIM_ERR_INTERRUPTED. It does not log out.
func (c *Client) Close() {
	runtime.SetFinalizer(c, nil)
	C.tim_client_destroy(c.handle, 0)
	<-c.closed
}

func (c *Client) call(ctx context.Context, start func(C.uint64_t) C.int32_t) error {
	defer runtime.KeepAlive(c)
	done := make(chan error, 1)
	c.mutex.Lock()
	c.last++
	number := c.last
	c.pending[number] = done
	c.mutex.Unlock()
	if code := start(C.uint64_t(number)); code != C.TIM_OK {
		c.mutex.Lock()
		delete(c.pending, number)
		c.mutex.Unlock()
		return errorOf(code)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// poll takes completions and events until the client has closed.
func (c *core) poll() {
	event := (*C.tim_event)(C.calloc(1, C.sizeof_tim_event))
	defer C.free(unsafe.Pointer(event))
	defer close(c.closed)
	defer close(c.queued)
	for {
		event.size = C.sizeof_tim_event
		if code := C.tim_poll_event(c.handle, -1, event); code != C.TIM_OK {
			return
		}
		message := C.GoString(event.message)
		loginID := uint64(event.login_id)
		switch C.type_of(event) {
		case C.TIM_EVENT_COMPLETION:
			c.complete(uint64(C.number_of(event)), event.code)
		case C.TIM_EVENT_CONNECTION:
			status := ConnectionStatus(event.connection_status)
			c.queued <- ConnectionChanged{status, int(event.code), message, loginID}
		case C.TIM_EVENT_KICKED_OFFLINE:
			c.queued <- KickedOffline{int(event.code), message, loginID, c.kickInfo(loginID)}
		case C.TIM_EVENT_USER_SIG_EXPIRED:
			c.queued <- UserSigExpired{int(event.code), message, loginID}
		case C.TIM_EVENT_USER_SIG_EXPIRING:
			c.queued <- UserSigExpiring{int64(event.seconds_left), loginID}
		case C.TIM_EVENT_CLOSED:
			return
		}
	}
}

// pump keeps events for an app that does not read them yet, so that completions never wait for it.
func (c *core) pump() {
	defer close(c.events)
	var waiting []Event
	queued := c.queued
	for queued != nil || len(waiting) > 0 {
		var events chan Event
		var first Event
		if len(waiting) > 0 && queued != nil {
			events, first = c.events, waiting[0]
		}
		if queued == nil {
			// Closed: what nobody reads is dropped.
			select {
			case c.events <- waiting[0]:
				waiting = waiting[1:]
			default:
				return
			}
			continue
		}
		select {
		case event, ok := <-queued:
			if !ok {
				queued = nil
				continue
			}
			waiting = append(waiting, event)
		case events <- first:
			waiting = waiting[1:]
		}
	}
}

func (c *core) complete(number uint64, code C.int32_t) {
	c.mutex.Lock()
	done := c.pending[number]
	delete(c.pending, number)
	c.mutex.Unlock()
	if done == nil {
		return
	}
	if code == C.TIM_OK {
		done <- nil
		return
	}
	err := errorOf(code)
	var last struct {
		Code         int   `json:"code"`
		RetryAfterMS int64 `json:"retry_after_ms"`
	}
	text := copied(func(buffer *C.char, capacity C.size_t, length *C.size_t) C.int32_t {
		return C.tim_get_last_error(c.handle, buffer, capacity, length)
	})
	if json.Unmarshal([]byte(text), &last) == nil && last.Code == err.Code {
		err.RetryAfterMS = last.RetryAfterMS
	}
	done <- err
}

func (c *core) kickInfo(loginID uint64) *KickInfo {
	info := &KickInfo{}
	text := copied(func(buffer *C.char, capacity C.size_t, length *C.size_t) C.int32_t {
		return C.tim_get_kick_info(c.handle, buffer, capacity, length)
	})
	if json.Unmarshal([]byte(text), info) != nil || info.LoginID != loginID {
		return nil
	}
	return info
}

// copied returns what a function copies out, or the empty string.
func copied(copyOut func(*C.char, C.size_t, *C.size_t) C.int32_t) string {
	for capacity := C.size_t(256); ; {
		buffer := (*C.char)(C.malloc(capacity))
		var length C.size_t
		code := copyOut(buffer, capacity, &length)
		text := ""
		if code == C.TIM_OK {
			text = C.GoStringN(buffer, C.int(length))
		}
		C.free(unsafe.Pointer(buffer))
		if code != C.TIM_ERR_BUFFER_TOO_SMALL {
			return text
		}
		capacity = length + 1
	}
}

// texts returns two texts for C. A NUL would end one early.
func texts(first string, code C.int32_t, second string) (*C.char, *C.char, error) {
	if strings.ContainsRune(first, 0) {
		return nil, nil, errorOf(code)
	}
	if strings.ContainsRune(second, 0) {
		return nil, nil, errorOf(C.TIM_ERR_USER_SIG_UNREADABLE)
	}
	return C.CString(first), C.CString(second), nil
}
