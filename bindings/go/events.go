// What a client reports: events, statuses and errors.

package timlogin

// #include <tim.h>
import "C"

// LoginStatus says whether somebody is logged in.
type LoginStatus int32

// The login statuses. A closed client has status 0.
const (
	LoggedIn  LoginStatus = C.TIM_LOGIN_STATUS_LOGGED_IN
	LoggingIn LoginStatus = C.TIM_LOGIN_STATUS_LOGGING_IN
	LoggedOut LoginStatus = C.TIM_LOGIN_STATUS_LOGGED_OUT
)

// String returns the status in words.
func (s LoginStatus) String() string {
	switch s {
	case LoggedIn:
		return "logged_in"
	case LoggingIn:
		return "logging_in"
	case LoggedOut:
		return "logged_out"
	}
	return "closed"
}

// ConnectionStatus is the status of the connection to the server.
type ConnectionStatus int32

// The connection statuses. A closed client has status 0.
const (
	Connected     ConnectionStatus = C.TIM_CONNECTION_STATUS_CONNECTED
	Disconnected  ConnectionStatus = C.TIM_CONNECTION_STATUS_DISCONNECTED
	Connecting    ConnectionStatus = C.TIM_CONNECTION_STATUS_CONNECTING
	ConnectFailed ConnectionStatus = C.TIM_CONNECTION_STATUS_CONNECT_FAILED
)

// String returns the status in words.
func (s ConnectionStatus) String() string {
	switch s {
	case Connected:
		return "connected"
	case Disconnected:
		return "disconnected"
	case Connecting:
		return "connecting"
	case ConnectFailed:
		return "connect_failed"
	}
	return "closed"
}

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

// KickedOffline says that another login took the session over, or that the server ended it. Only a login
// takes it back.
type KickedOffline struct {
	Code    int
	Message string
	LoginID uint64
	By      *KickInfo // nil if it is not known
}

// KickInfo says who took a session over.
type KickInfo struct {
	LoginID    uint64 `json:"login_id"`
	Cause      string `json:"cause"`    // "other_device", "same_device" or "operator"
	Platform   string `json:"platform"` // empty if it is not known
	DeviceName string `json:"device_name"`
	TimeMS     int64  `json:"time_ms"` // Unix time of the server
}

// UserSigExpired says that the ticket has expired or was revoked. Only a login with a new one helps.
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
