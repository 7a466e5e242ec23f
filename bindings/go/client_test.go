package timlogin

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// The rules that all bindings share are in bindings/scenario. These are the rules of Go.

func TestAnErrorHasTheNameAndTheWordsOfItsCode(t *testing.T) {
	s := startServer(t)
	err := s.client("").Login(limited(t), "bob", s.ticket("alice"))
	var refused *Error
	if !errors.As(err, &refused) || refused.Name != "TIM_ERR_USER_SIG_OTHER_USER" || refused.Retryable {
		t.Fatal(err)
	}
	if !strings.Contains(err.Error(), "another user") || !strings.Contains(err.Error(), refused.Name) {
		t.Fatal(err)
	}
	if !errors.Is(err, &Error{Code: 70013}) || errors.Is(err, &Error{Code: 70001}) {
		t.Fatal("errors.Is compares codes")
	}
}

func TestAnErrorTellsHowLongTheServerAsksToWait(t *testing.T) {
	s, ctx := startServer(t), limited(t)
	client, ticket := s.client(""), s.ticket("alice")
	var err error
	for logins := 0; err == nil && logins < 1000; logins++ {
		if err = client.Login(ctx, "alice", ticket); err == nil {
			err = client.Logout(ctx)
		}
	}
	var failed *Error
	if !errors.As(err, &failed) || failed.Name != "TIM_ERR_LOGIN_TOO_OFTEN" || failed.RetryAfterMS <= 0 || !failed.Retryable {
		t.Fatalf("%#v", err)
	}
}

func TestAConfigurationThatIsWrongNamesTheKey(t *testing.T) {
	_, err := New(Config{ServerURL: "ftp://127.0.0.1", SDKAppID: 1})
	if code(t, err) != 7719 || !strings.Contains(err.Error(), "server_url") {
		t.Fatal(err)
	}
}

func TestATextWithANULIsNotCutThere(t *testing.T) {
	client := silent(t)
	if found := code(t, client.Login(limited(t), "a\x00b", "x")); found != 7003 {
		t.Fatal(found)
	}
	if found := code(t, client.Login(limited(t), "a", "x\x00y")); found != 70003 {
		t.Fatal(found)
	}
	if found := code(t, client.RenewUserSig(limited(t), "x\x00y")); found != 70003 {
		t.Fatal(found)
	}
}

func TestAKickSaysWhoDidIt(t *testing.T) {
	s, ctx := startServer(t), limited(t)
	phone, tablet := s.client("phone"), s.client("tablet")
	must(t, phone.Login(ctx, "alice", s.ticket("alice")))
	must(t, tablet.Login(ctx, "alice", s.ticket("alice")))
	by := kick(t, phone.Events()).By
	if by == nil || by.Cause != "other_device" || by.Platform != "linux" || by.DeviceName != "my tablet" {
		t.Fatal(by)
	}
}

func TestTheServersTimeIsKnownFromTheFirstLogin(t *testing.T) {
	s := startServer(t)
	client := s.client("")
	if _, err := client.ServerTimeMS(); code(t, err) != 7721 {
		t.Fatal(err)
	}
	must(t, client.Login(limited(t), "alice", s.ticket("alice")))
	found, err := client.ServerTimeMS()
	must(t, err)
	if away := time.Since(time.UnixMilli(found)); away.Abs() > time.Minute {
		t.Fatal(away)
	}
}

func TestACallWithAContextThatHasEndedIsNotMade(t *testing.T) {
	client := silent(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := client.Login(ctx, "alice", "ticket"); err != context.Canceled || client.Status() != LoggedOut {
		t.Fatal(err, client.Status())
	}
}

func TestAContextThatEndsDuringALoginLetsItGoOn(t *testing.T) {
	client := silent(t)
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error)
	go func() { failed <- client.Login(ctx, "alice", "ticket") }()
	loggingIn(client)
	cancel()
	if err := <-failed; err != context.Canceled || client.Status() != LoggingIn {
		t.Fatal(err, client.Status())
	}
	must(t, client.Logout(limited(t)))
}

func TestGoroutinesMayShareAClient(t *testing.T) {
	s, ctx := startServer(t), limited(t)
	client, ticket := s.client(""), s.ticket("alice")
	var all sync.WaitGroup
	for i := 0; i < 16; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for _, err := range []error{client.Login(ctx, "alice", ticket), client.RenewUserSig(ctx, ticket),
				client.Notify(Foreground), client.Logout(ctx)} {
				if err != nil {
					code(t, err)
				}
			}
			_, _, _ = client.Status(), client.Connection(), client.User()
		}()
	}
	all.Wait()
	must(t, client.Logout(ctx))
}

func TestEventsThatNobodyReadsHoldNothingUpAndTheLastCanBeReadAfterClose(t *testing.T) {
	s, ctx := startServer(t), limited(t)
	phone, tablet := s.client("phone"), s.client("tablet")
	for i := 0; i < 2; i++ {
		must(t, phone.Login(ctx, "alice", s.ticket("alice")))
		must(t, tablet.Login(ctx, "alice", s.ticket("alice")))
		for phone.Status() != LoggedOut {
			runtime.Gosched()
		}
	}
	phone.Close()
	for i := 0; i < 2; i++ {
		kick(t, phone.Events())
	}
	for event := range phone.Events() {
		if _, ok := event.(ConnectionChanged); !ok {
			t.Fatal(event)
		}
	}
}

func TestAConnectionEventReplacesTheOneBeforeItThatNobodyReads(t *testing.T) {
	c := &core{taken: make(chan Event), events: make(chan Event, 1)}
	go c.keep()
	for login := uint64(1); login <= 100; login++ {
		c.taken <- ConnectionChanged{LoginID: login}
	}
	last, read := uint64(0), 0
	for ; last != 100; read++ {
		last = (<-c.events).(ConnectionChanged).LoginID
	}
	if read > 3 {
		t.Fatal(read)
	}
	close(c.taken)
}

func TestAClosedClientRejectsCallsAndMayBeClosedAgain(t *testing.T) {
	client := silent(t)
	client.Close()
	for range client.Events() {
	}
	if client.Status() != 0 || client.Connection() != 0 || client.User() != "" {
		t.Fatal(client.Status(), client.Connection(), client.User())
	}
	if found := code(t, client.Logout(limited(t))); found != 7705 {
		t.Fatal(found)
	}
	client.Close()
}

func TestAThousandClientsLeaveNoGoroutineNoThreadAndNoDescriptor(t *testing.T) {
	s := startServer(t)
	goroutines, threads, descriptors := runtime.NumGoroutine(), networkThreads(), count("/proc/self/fd/*")
	for round := 0; round < 1000; round++ {
		client, err := New(s.config("same"))
		must(t, err)
		client.Close()
	}
	within(t, func() bool {
		return runtime.NumGoroutine() <= goroutines && networkThreads() <= threads && count("/proc/self/fd/*") <= descriptors
	})
}

func TestAClientThatIsForgottenIsClosed(t *testing.T) {
	s := startServer(t)
	_, err := New(s.config("same"))
	must(t, err)
	within(t, func() bool {
		runtime.GC()
		client, err := New(s.config("same"))
		if err != nil {
			return code(t, err) != 7706
		}
		client.Close()
		return true
	})
}

func TestAClientWhoseEventsAreReadIsNotForgotten(t *testing.T) {
	s, ctx := startServer(t), limited(t)
	events := func() <-chan Event {
		phone, err := New(s.config("phone"))
		must(t, err)
		must(t, phone.Login(ctx, "alice", s.ticket("alice")))
		return phone.Events()
	}()
	// A client that was made later and is forgotten, too, is closed: so is all that can be.
	_, err := New(s.config("later"))
	must(t, err)
	within(t, func() bool {
		runtime.GC()
		later, err := New(s.config("later"))
		if err == nil {
			later.Close()
		}
		return err == nil
	})
	must(t, s.client("tablet").Login(ctx, "alice", s.ticket("alice")))
	kick(t, events)
}

func TestAPanicThatIsRecoveredLeavesTheClientUsable(t *testing.T) {
	s, ctx := startServer(t), limited(t)
	client := s.client("")
	func() {
		defer func() { _ = recover() }()
		go func() { _ = client.Login(ctx, "alice", s.ticket("alice")) }()
		for range client.Events() {
			panic("in a reader of events")
		}
	}()
	must(t, client.Login(ctx, "bob", s.ticket("bob")))
}

func TestAPanicEndsTheProcessWithGosOwnStatus(t *testing.T) {
	if os.Getenv("TIM_TEST_PANICS") != "" {
		client := silent(t)
		go func() { _ = client.Login(context.Background(), "alice", "ticket") }()
		loggingIn(client)
		go panic("of the app")
		select {}
	}
	process := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	process.Env = append(os.Environ(), "TIM_TEST_PANICS=1")
	said, _ := process.CombinedOutput()
	if process.ProcessState.ExitCode() != 2 || !strings.Contains(string(said), "panic: of the app") {
		t.Fatal(process.ProcessState, string(said))
	}
}

// silent returns a client of a server that accepts connections and says nothing.
func silent(t *testing.T) *Client {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	client, err := New(Config{ServerURL: "http://" + listener.Addr().String(), SDKAppID: 1})
	must(t, err)
	t.Cleanup(client.Close)
	return client
}

func loggingIn(client *Client) {
	for client.Status() != LoggingIn {
		runtime.Gosched()
	}
}

func count(pattern string) int {
	found, _ := filepath.Glob(pattern)
	return len(found)
}

// networkThreads returns how many threads of the library there are.
func networkThreads() int {
	names, _ := filepath.Glob("/proc/self/task/*/comm")
	found := 0
	for _, name := range names {
		if text, _ := os.ReadFile(name); strings.HasPrefix(string(text), "tim-network") {
			found++
		}
	}
	return found
}
