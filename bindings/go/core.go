// The part of a client that its goroutines know: they take completions and events.

package timlogin

/*
#include <stdlib.h>
#include <tim.h>

static uint64_t number_of(const tim_event *event) { return (uint64_t)(uintptr_t)event->user_data; }
*/
import "C"

import (
	"encoding/json"
	"sync"
	"unsafe"
)

type core struct {
	handle C.tim_client
	taken  chan Event // from poll to keep
	events chan Event // from keep to the app
	closed chan struct{}

	mutex   sync.Mutex
	last    uint64
	pending map[uint64]chan<- error
}

func newCore(handle C.tim_client) *core {
	c := &core{
		handle:  handle,
		taken:   make(chan Event),
		events:  make(chan Event, 16),
		closed:  make(chan struct{}),
		pending: make(map[uint64]chan<- error),
	}
	go c.poll()
	go c.keep()
	return c
}

// expect returns the number for a call's user_data, and where its result will be.
func (c *core) expect() (uint64, <-chan error) {
	done := make(chan error, 1)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.last++
	c.pending[c.last] = done
	return c.last, done
}

// forget returns where the result of a call goes, the last time that it is needed.
func (c *core) forget(number uint64) chan<- error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	done := c.pending[number]
	delete(c.pending, number)
	return done
}

// poll takes completions and events until the client has closed.
func (c *core) poll() {
	event := (*C.tim_event)(C.calloc(1, C.sizeof_tim_event))
	defer C.free(unsafe.Pointer(event))
	defer close(c.closed)
	defer close(c.taken)
	for {
		event.size = C.sizeof_tim_event
		if code := C.tim_poll_event(c.handle, -1, event); code != C.TIM_OK {
			return
		}
		message := C.GoString(event.message)
		loginID := uint64(event.login_id)
		switch event._type {
		case C.TIM_EVENT_COMPLETION:
			if done := c.forget(uint64(C.number_of(event))); done != nil {
				done <- c.result(event.code)
			}
		case C.TIM_EVENT_CONNECTION:
			status := ConnectionStatus(event.connection_status)
			c.taken <- ConnectionChanged{status, int(event.code), message, loginID}
		case C.TIM_EVENT_KICKED_OFFLINE:
			c.taken <- KickedOffline{int(event.code), message, loginID, c.kickInfo(loginID)}
		case C.TIM_EVENT_USER_SIG_EXPIRED:
			c.taken <- UserSigExpired{int(event.code), message, loginID}
		case C.TIM_EVENT_USER_SIG_EXPIRING:
			c.taken <- UserSigExpiring{int64(event.seconds_left), loginID}
		case C.TIM_EVENT_CLOSED:
			return
		}
	}
}

// keep keeps the events that the app has not read yet, so that completions never wait for it.
func (c *core) keep() {
	defer close(c.events)
	var waiting []Event
	for open := true; open; {
		var events chan<- Event // nil, to which nothing is sent, while nothing waits
		var first Event
		if len(waiting) > 0 {
			events, first = c.events, waiting[0]
		}
		select {
		case event, ok := <-c.taken:
			if open = ok; ok {
				waiting = append(withoutStale(waiting, event), event)
			}
		case events <- first:
			waiting = waiting[1:]
		}
	}
	for _, event := range waiting {
		select {
		case c.events <- event:
		default:
			return // nobody has read for long
		}
	}
}

// withoutStale drops a connection event that another follows at once. What waits for an app that never
// reads is then bounded by its logins.
func withoutStale(waiting []Event, next Event) []Event {
	if len(waiting) > 0 {
		_, old := waiting[len(waiting)-1].(ConnectionChanged)
		_, new := next.(ConnectionChanged)
		if old && new {
			return waiting[:len(waiting)-1]
		}
	}
	return waiting
}

// result is the end of a call that completed with this code.
func (c *core) result(code C.int32_t) error {
	if code == C.TIM_OK {
		return nil
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
	return err
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
