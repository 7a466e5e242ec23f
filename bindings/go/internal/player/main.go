// Player plays bindings/scenario with this package. The protocol is in bindings/scenario/README.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"timlogin"
)

// player is one client of the scenario.
type player struct {
	name   string
	client *timlogin.Client
	heard  chan struct{} // closed after the last event
}

var hints = map[string]timlogin.Hint{
	"foreground":      timlogin.Foreground,
	"network_changed": timlogin.NetworkChanged,
}

func main() {
	players := make(map[string]*player)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		request, rest, _ := strings.Cut(lines.Text(), "\t")
		if request == "exit" {
			os.Exit(0)
		}
		name, rest, _ := strings.Cut(rest, "\t")
		if request == "new" {
			p := &player{name: name}
			p.done(request, p.create(rest))
			players[name] = p
			continue
		}
		players[name].answer(request, strings.Split(rest, "\t"))
	}
}

func (p *player) say(kind string, fields ...any) {
	// One write, so that lines of several goroutines do not mix.
	line := kind + "\t" + p.name
	for _, field := range fields {
		line += fmt.Sprintf("\t%v", field)
	}
	fmt.Println(line)
}

func (p *player) done(call string, err error) {
	failed := &timlogin.Error{}
	if err != nil && !errors.As(err, &failed) {
		panic(err)
	}
	p.say("done", call, failed.Code)
}

func (p *player) create(config string) error {
	decoder := json.NewDecoder(strings.NewReader(config))
	decoder.DisallowUnknownFields()
	var parsed timlogin.Config
	if err := decoder.Decode(&parsed); err != nil {
		// Config has no field for a key that the library does not know, so the compiler rejects it.
		return &timlogin.Error{Code: 7719}
	}
	client, err := timlogin.New(parsed)
	if err != nil {
		return err
	}
	p.client, p.heard = client, make(chan struct{})
	go p.listen()
	return nil
}

func (p *player) listen() {
	defer close(p.heard)
	for event := range p.client.Events() {
		switch event := event.(type) {
		case timlogin.ConnectionChanged:
			p.say("event", "connection", event.Status, event.Code)
		case timlogin.KickedOffline:
			by := ""
			if event.By != nil {
				by = event.By.DeviceName
			}
			p.say("event", "kicked_offline", event.Code, by)
		case timlogin.UserSigExpiring:
			p.say("event", "user_sig_expiring", event.SecondsLeft)
		case timlogin.UserSigExpired:
			p.say("event", "user_sig_expired", event.Code)
		}
	}
}

func (p *player) answer(request string, fields []string) {
	ctx := context.Background()
	// Calls block, so each has a goroutine.
	switch request {
	case "login":
		go func() { p.done(request, p.client.Login(ctx, fields[0], fields[1])) }()
	case "logout":
		go func() { p.done(request, p.client.Logout(ctx)) }()
	case "renew_user_sig":
		go func() { p.done(request, p.client.RenewUserSig(ctx, fields[0])) }()
	case "notify":
		p.done(request, p.client.Notify(hints[fields[0]]))
	case "close":
		go func() {
			p.client.Close()
			<-p.heard
			p.done(request, nil)
		}()
	case "login_status":
		p.say(request, p.client.Status())
	case "connection_status":
		p.say(request, p.client.Connection())
	case "login_user":
		p.say(request, p.client.User())
	default:
		panic("no such request: " + request)
	}
}
