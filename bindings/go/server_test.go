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
	t     *testing.T
	data  string
	url   string
	appID uint32
}

func startServer(t *testing.T) *server {
	s := &server{t: t, data: filepath.Join(t.TempDir(), "data")}
	process := exec.Command(os.Getenv("TIM_SERVER"), "serve", "--listen", "127.0.0.1:0", "--data-dir", s.data)
	out, err := process.StdoutPipe()
	must(t, err)
	must(t, process.Start())
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	ready, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	_, address, _ := strings.Cut(strings.TrimSpace(ready), "http=")
	s.url = "http://" + address
	text, err := os.ReadFile(filepath.Join(s.data, "sdk_app_id"))
	must(t, err)
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	must(t, err)
	s.appID = uint32(id)
	return s
}

func (s *server) ticket(user string) string {
	out, err := exec.Command(os.Getenv("TIM_SERVER"), "usersig", "--user-id", user, "--data-dir", s.data).Output()
	must(s.t, err)
	return strings.TrimSpace(string(out))
}

func (s *server) config(device string) Config {
	return Config{ServerURL: s.url, SDKAppID: s.appID, DeviceID: device, DeviceName: "my " + device}
}

func (s *server) client(device string) *Client {
	client, err := New(s.config(device))
	must(s.t, err)
	s.t.Cleanup(client.Close)
	return client
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

// within waits until that holds.
func within(t *testing.T, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !holds(); runtime.Gosched() {
		if time.Now().After(limit) {
			t.Fatal("it does not come true")
		}
	}
}

// kick returns the next kick.
func kick(t *testing.T, events <-chan Event) KickedOffline {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case event, ok := <-events:
			if kick, is := event.(KickedOffline); is {
				return kick
			}
			if !ok {
				t.Fatal("the client has closed")
			}
		case <-limit:
			t.Fatal("no kick")
		}
	}
}

// code returns the code of an error of the library.
func code(t *testing.T, err error) int {
	t.Helper()
	var failed *Error
	if !errors.As(err, &failed) {
		t.Fatalf("expected an Error, found %v", err)
	}
	return failed.Code
}
