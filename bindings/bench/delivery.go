// Delivery measures what the delivery of events costs in Go, with cgo and the binding.
package main

/*
#cgo LDFLAGS: -ltim -lfloor
#include <stdlib.h>
#include <time.h>
#include <tim.h>

int32_t floor_poll_event(tim_client client, int32_t timeout_ms, tim_event *event);
int32_t floor_call_back(tim_result_callback function, int32_t times);
extern void onCompletion(int32_t code, char *message, void *user_data);
extern void onKicked(tim_client client, int32_t code, char *message, uint64_t login_id, void *user_data);

static int32_t floor_call_go(int32_t times) { return floor_call_back((tim_result_callback)onCompletion, times); }
static int32_t logout_with_callback(tim_client client) {
	return tim_logout(client, (tim_result_callback)onCompletion, NULL);
}
static int32_t set_kicked(tim_client client) {
	return tim_set_kicked_offline_callback(client, (tim_kicked_offline_callback)onKicked, NULL);
}
static int64_t now_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
*/
import "C"

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
	"timlogin"
	"unsafe"
)

const (
	batch   = 64
	batches = 500
	kicks   = 300
	nobody  = "http://127.0.0.1:1"
)

func must(ok bool, what string) {
	if !ok {
		panic(what)
	}
}

func now() int64 { return int64(C.now_ns()) }

func create(url, delivery string) C.tim_client {
	config := C.CString(fmt.Sprintf(`{"server_url":%q,"sdk_app_id":1,"event_delivery":%q}`, url, delivery))
	defer C.free(unsafe.Pointer(config))
	var client C.tim_client
	must(C.tim_client_create(config, &client, nil, 0) == 0, "create")
	return client
}

var seen int64

func drain(what string, poll func(*C.tim_event) C.int32_t, event *C.tim_event) {
	time.Sleep(time.Millisecond) // the network thread, which every call wakes, has gone back to sleep
	start := now()
	for i := 0; i < batch; i++ {
		event.size = C.sizeof_tim_event
		must(poll(event) == 0, "an event is missing")
		seen += int64(C.int32_t(event.code)) + int64(uintptr(event.user_data))
	}
	fmt.Println(what, float64(now()-start)/batch)
}

func byPoll() {
	client := create(nobody, "poll")
	event := (*C.tim_event)(C.calloc(1, C.sizeof_tim_event))
	for i := 0; i < batches; i++ {
		drain("floor_pull", func(e *C.tim_event) C.int32_t { return C.floor_poll_event(client, 0, e) }, event)
		for j := 0; j < batch; j++ {
			must(C.tim_logout(client, nil, nil) == 0, "logout")
		}
		drain("pull", func(e *C.tim_event) C.int32_t { return C.tim_poll_event(client, 0, e) }, event)
	}
}

// The first callback of a batch waits until the whole batch is pending.
var (
	allPending  = make(chan struct{}, 1)
	delivered   int
	first       int64
	nsDelivered = make(chan float64, 1)
	kickedAt    = make(chan int64, 1)
)

//export onCompletion
func onCompletion(code C.int32_t, message *C.char, userData unsafe.Pointer) {
	if delivered == 0 {
		<-allPending
		first = now()
	}
	delivered++
	if delivered == batch {
		last := now()
		delivered = 0
		nsDelivered <- float64(last-first) / (batch - 1)
	}
}

func deliverBatch(what string) {
	allPending <- struct{}{}
	fmt.Println(what, <-nsDelivered)
}

func byCallback() {
	client := create(nobody, "callback")
	for i := 0; i < batches; i++ {
		must(C.floor_call_go(batch) == 0, "thread")
		deliverBatch("floor_callback")
		for j := 0; j < batch; j++ {
			must(C.logout_with_callback(client) == 0, "logout")
		}
		deliverBatch("callback")
	}
}

//export onKicked
func onKicked(client C.tim_client, code C.int32_t, message *C.char, loginID C.uint64_t, userData unsafe.Pointer) {
	kickedAt <- now()
}

func kicksByCallback() {
	client := create(os.Getenv("TIM_URL"), "callback")
	user, ticket := C.CString("alice"), C.CString("ticket")
	buffer := (*C.char)(C.malloc(500))
	must(C.set_kicked(client) == 0, "setter")
	for i := 0; i < kicks; i++ {
		must(C.tim_login(client, user, ticket, nil, nil) == 0, "login")
		at := <-kickedAt
		must(C.tim_get_kick_info(client, buffer, 500, nil) == 0, "kick info")
		var info timlogin.KickInfo
		must(json.Unmarshal([]byte(C.GoString(buffer)), &info) == nil, "kick info")
		fmt.Println("latency_callback", float64(at-info.TimeMS)/1000)
	}
}

func open(url string) *timlogin.Client {
	client, err := timlogin.New(timlogin.Config{ServerURL: url, SDKAppID: 1})
	must(err == nil, "create")
	return client
}

func byBinding() {
	client := open(nobody)
	for i := 0; i < batches; i++ {
		var all sync.WaitGroup
		all.Add(batch)
		start := now()
		for j := 0; j < batch; j++ {
			go func() {
				defer all.Done()
				must(client.Logout(context.Background()) == nil, "logout")
			}()
		}
		all.Wait()
		fmt.Println("binding", float64(now()-start)/batch)
	}
	client.Close()
	client = open(os.Getenv("TIM_URL"))
	for i := 0; i < kicks; i++ {
		must(client.Login(context.Background(), "alice", "ticket") == nil, "login")
		for event := range client.Events() {
			at := now()
			if kicked, ok := event.(timlogin.KickedOffline); ok {
				fmt.Println("latency_pull", float64(at-kicked.By.TimeMS)/1000)
				break
			}
		}
	}
	client.Close()
}

func main() {
	byPoll()
	byCallback()
	byBinding()
	kicksByCallback()
}
