package timlogin

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// server is a tim-server process with an app of its own. TIM_SERVER is the program.
type server struct {
	t       *testing.T
	data    string
	address string
	process *exec.Cmd
	appID   uint32
}

func startServer(t *testing.T) *server {
	s := &server{t: t, data: filepath.Join(t.TempDir(), "data"), address: "127.0.0.1:0"}
	s.start()
	t.Cleanup(s.kill)
	text, err := os.ReadFile(filepath.Join(s.data, "sdk_app_id"))
	must(t, err)
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	must(t, err)
	s.appID = uint32(id)
	return s
}

func (s *server) start() {
	s.process = exec.Command(os.Getenv("TIM_SERVER"), "serve", "--listen", s.address, "--data-dir", s.data)
	out, err := s.process.StdoutPipe()
	must(s.t, err)
	must(s.t, s.process.Start())
	ready, err := bufio.NewReader(out).ReadString('\n')
	must(s.t, err)
	s.address = strings.TrimSpace(ready[strings.LastIndex(ready, "http=")+5:])
}

func (s *server) kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

func (s *server) ticket(user string, seconds int) string {
	out, err := exec.Command(os.Getenv("TIM_SERVER"), "usersig", "--user-id", user,
		"--expire", strconv.Itoa(seconds), "--data-dir", s.data).Output()
	must(s.t, err)
	return strings.TrimSpace(string(out))
}

func (s *server) client(device, name string) *Client {
	client, err := New(s.config(device, name))
	must(s.t, err)
	s.t.Cleanup(client.Close)
	return client
}

func (s *server) config(device, name string) Config {
	return Config{
		ServerURL: "http://" + s.address, SDKAppID: s.appID, DeviceID: device, DeviceName: name,
		Reconnect: &Reconnect{FirstMS: 10, MaxMS: 100},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// wait returns the first event that is wanted.
func wait[E Event](t *testing.T, client *Client, wanted func(E) bool) E {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case event := <-client.Events():
			if event, ok := event.(E); ok && wanted(event) {
				return event
			}
		case <-limit:
			t.Fatal("the event did not come")
		}
	}
}

func has(status ConnectionStatus) func(ConnectionChanged) bool {
	return func(event ConnectionChanged) bool { return event.Status == status }
}

func code(t *testing.T, err error) int {
	t.Helper()
	var failed *Error
	if !errors.As(err, &failed) {
		t.Fatalf("expected an Error, found %v", err)
	}
	return failed.Code
}

func TestALoginMakesTheUserAndALogoutEndsIt(t *testing.T) {
	s, ctx := startServer(t), limited(t)
	client := s.client("", "")
	if client.Status() != LoggedOut || client.User() != "" {
		t.Fatal(client.Status(), client.User())
	}
	must(t, client.Login(ctx, "alice", s.ticket("alice", 3600)))
	if client.Status() != LoggedIn || client.User() != "alice" {
		t.Fatal(client.Status(), client.User())
	}
	wait(t, client, has(Connected))
	must(t, client.Notify(Foreground))
	must(t, client.RenewUserSig(ctx, s.ticket("alice", 3600)))
	must(t, client.Login(ctx, "bob", s.ticket("bob", 3600)))
	if client.User() != "bob" {
		t.Fatal(client.User())
	}
	must(t, client.Logout(ctx))
	if client.User() != "" {
		t.Fatal(client.User())
	}
}

func TestARefusalHasItsCodeAndWords(t *testing.T) {
	s, ctx := startServer(t), limited(t)
	client := s.client("", "")
	err := client.Login(ctx, "bob", s.ticket("alice", 3600))
	if code(t, err) != 70013 || !strings.Contains(err.Error(), "another user") {
		t.Fatal(err)
	}
	if !errors.Is(err, &Error{Code: 70013}) || errors.Is(err, &Error{Code: 70001}) {
		t.Fatal("errors.Is compares codes")
	}
	for user, wanted := range map[string]int{"": 7003, "a\x00b": 7003} {
		if found := code(t, client.Login(ctx, user, "x")); found != wanted {
			t.Fatal(found)
		}
	}
	_, err = New(Config{ServerURL: "ftp://127.0.0.1", SDKAppID: 1})
	if code(t, err) != 7719 || !strings.Contains(err.Error(), "server_url") {
		t.Fatal(err)
	}
}

func TestAKickSaysWhoDidIt(t *testing.T) {
	s, ctx := startServer(t), limited(t)
	phone, tablet := s.client("phone", ""), s.client("tablet", "my tablet")
	must(t, phone.Login(ctx, "alice", s.ticket("alice", 3600)))
	must(t, tablet.Login(ctx, "alice", s.ticket("alice", 3600)))
	kick := wait(t, phone, func(KickedOffline) bool { return true })
	if kick.Code != 6208 || kick.By == nil || kick.By.DeviceName != "my tablet" {
		t.Fatal(kick)
	}
	if phone.Status() != LoggedOut {
		t.Fatal(phone.Status())
	}
}

func TestATicketIsReportedBeforeAndAfterItsEnd(t *testing.T) {
	s, ctx := startServer(t), limited(t)
	client := s.client("", "")
	must(t, client.Login(ctx, "alice", s.ticket("alice", 2)))
	if left := wait(t, client, func(UserSigExpiring) bool { return true }).SecondsLeft; left > 2 {
		t.Fatal(left)
	}
	if code := wait(t, client, func(UserSigExpired) bool { return true }).Code; code != 70001 {
		t.Fatal(code)
	}
}

func TestARestartOfTheServerSignsNobodyOut(t *testing.T) {
	s, ctx := startServer(t), limited(t)
	client := s.client("", "")
	must(t, client.Login(ctx, "alice", s.ticket("alice", 3600)))
	wait(t, client, has(Connected))
	s.kill()
	wait(t, client, func(event ConnectionChanged) bool { return event.Status != Connected })
	if client.Status() != LoggedIn {
		t.Fatal(client.Status())
	}
	s.start()
	wait(t, client, has(Connected))
	if client.User() != "alice" {
		t.Fatal(client.User())
	}
}

func TestAContextThatEndsLeavesTheClientUsable(t *testing.T) {
	s := startServer(t)
	client := s.client("", "")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := client.Login(ctx, "alice", s.ticket("alice", 3600)); !errors.Is(err, context.Canceled) && err != nil {
		t.Fatal(err)
	}
	must(t, client.Login(limited(t), "bob", s.ticket("bob", 3600)))
}

func TestCloseDuringALoginFailsItAndEndsTheEvents(t *testing.T) {
	s := startServer(t)
	config := s.config("", "")
	config.ServerURL = "http://127.0.0.1:1"
	client, err := New(config)
	must(t, err)
	failed := make(chan error)
	go func() { failed <- client.Login(limited(t), "alice", "ticket") }()
	for client.Status() != LoggingIn {
		runtime.Gosched()
	}
	client.Close()
	if found := code(t, <-failed); found != 7009 {
		t.Fatal(found)
	}
	for range client.Events() {
	}
	if client.Status() != 0 || code(t, client.Logout(limited(t))) != 7705 {
		t.Fatal("the client is still there")
	}
	client.Close()
}

func TestAThousandClientsLeaveNoGoroutineAndNoDescriptor(t *testing.T) {
	s := startServer(t)
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return len(entries)
	}
	goroutines, descriptors := runtime.NumGoroutine(), count()
	for round := 0; round < 1000; round++ {
		client, err := New(s.config("same", ""))
		must(t, err)
		client.Close()
	}
	limit := time.Now().Add(time.Minute)
	for runtime.NumGoroutine() > goroutines || count() > descriptors {
		if time.Now().After(limit) {
			t.Fatal(runtime.NumGoroutine(), count())
		}
		runtime.Gosched()
	}
}

func TestAClientThatIsForgottenIsClosed(t *testing.T) {
	s := startServer(t)
	_, err := New(s.config("same", ""))
	must(t, err)
	limit := time.Now().Add(time.Minute)
	for {
		runtime.GC()
		client, err := New(s.config("same", ""))
		if err == nil {
			client.Close()
			return
		}
		if code(t, err) != 7706 || time.Now().After(limit) {
			t.Fatal(err)
		}
	}
}
