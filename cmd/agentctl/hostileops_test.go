package main

import (
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"agentctl/agent/api"
	"agentctl/rpcclient/wire"
)

// hostile acts on a terminal, hides, and would begin a line of its own.
const hostile = "a\tb\x1b[31m\x7f\u009b2J\u202e\u200b\r\nforged \"\u2028"

// fillHostile sets each text that can be reached from v to hostile words.
func fillHostile(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillHostile(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Now()))
			return
		}
		for i := range v.NumField() {
			fillHostile(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillHostile(v.Index(0))
	case reflect.Map:
		key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillHostile(key)
		fillHostile(elem)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, elem)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint64:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1)
	}
}

// hostileAnswer is the answer T with hostile words in all its texts.
func hostileAnswer[T any](change func(*T)) func() any {
	return func() any {
		answer := new(T)
		fillHostile(reflect.ValueOf(answer).Elem())
		if change != nil {
			change(answer)
		}
		return answer
	}
}

// wantTame complains of what a command said, if it acts on a terminal, hides, or forges a
// line.
func wantTame(t *testing.T, what string, said []byte) {
	t.Helper()
	for _, l := range strings.Split(strings.TrimSuffix(string(said), "\n"), "\n") {
		if strings.HasPrefix(strings.TrimLeft(l, "\r"), "forged") {
			t.Errorf("%s: a line is forged: %q", what, said)
		}
		for _, r := range l {
			if !unicode.IsPrint(r) && r != '\t' {
				t.Errorf("%s: %U in %q", what, r, l)
				break
			}
		}
	}
}

// Whatever program answers in the agent's place, none of our commands prints anything
// that acts on a terminal, hides, or forges a line.
func TestNothingOfAnAnswerActsOnATerminal(t *testing.T) {
	t.Parallel()
	const id = "5-0f4b3224a0bfdf43"
	outcome := func(state string) api.OutcomeReport { return api.OutcomeReport{State: api.OutcomeState(state)} }
	ofMember := api.EventReport{Type: hostile, Targets: map[string]api.OutcomeReport{"a": outcome(hostile), "b": outcome("b" + hostile)}}
	answers := map[string]func() any{
		"GET /v1/status":                  hostileAnswer[api.StatusReport](nil),
		"GET /v1/cluster":                 hostileAnswer[api.ClusterReport](nil),
		"GET /readyz":                     hostileAnswer[api.HealthReport](nil),
		"GET /healthz":                    hostileAnswer[api.HealthReport](nil),
		"GET /v1/events":                  hostileAnswer(func(p *api.EventPage) { p.Events = append(p.Events, ofMember) }),
		"GET /v1/events/" + id:            hostileAnswer[api.EventReport](nil),
		"GET /v1/events/" + id + "/nodes": hostileAnswer(func(r *api.NodesReport) { r.Applied, r.NoTarget, r.Open = false, false, false }),
		"POST /v1/events":                 hostileAnswer(func(r *api.PublishReport) { r.ID = id }),
		"GET /v1/recipients":              hostileAnswer[api.RecipientsReport](nil),
		"POST /v1/replay":                 hostileAnswer[api.ReplayReport](nil),
		"GET /v1/replay/1":                hostileAnswer(func(r *api.ReplayReport) { r.Waiting = 0 }),
		"POST /v1/dismiss":                hostileAnswer[api.DismissReport](nil),
		"with an error":                   hostileAnswer[api.ErrorReport](nil),
	}
	commands := []string{
		"status", "status -check", "status -cluster -all", "health", "health -live", "health -targets",
		"events", "events -limit=1", "events show " + id, "events show -nodes " + id, "events dismiss -target=a -all",
		"event -dry-run x", "event -durable=1 x", "event -http-addr=ADDR x y", "event -durable=1 -wait=300ms x", "event -http-addr=ADDR -wait=300ms x",
		"replay -target=a -buried", "replay -target=a -flush", "replay -target=a -now", "replay -target=a -accept-gap", "replay -target=a -since=1h -dry-run", "replay -target=a -buried -detach",
		"completion -values=targets", "completion -values=events",
	}
	for name, status := range map[string]int{"an answer": http.StatusOK, "an error": http.StatusBadRequest, "no agent": http.StatusTeapot} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			unasked := maps.Clone(answers)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				what := r.Method + " " + r.URL.Path
				mu.Lock()
				delete(unasked, what)
				mu.Unlock()
				answer := answers[what]
				switch {
				case status == http.StatusBadRequest:
					answer = answers["with an error"]
				case status == http.StatusTeapot || answer == nil:
					http.Error(w, hostile, http.StatusTeapot)
					return
				}
				w.WriteHeader(status)
				json.NewEncoder(w).Encode(answer())
			}))
			defer s.Close()
			addr := s.Listener.Addr().String()
			for _, line := range commands {
				for _, format := range []string{"text", "json"} {
					args := strings.Fields(strings.ReplaceAll(line, "ADDR", addr))
					if args[0] != "completion" {
						at := 1
						if args[0] == "events" && len(args) > 1 && !strings.HasPrefix(args[1], "-") {
							at = 2
						}
						args = append(append(append([]string{}, args[:at]...), "-format="+format), args[at:]...)
					}
					cmd := exec.Command("agentctl", args...)
					cmd.Env = append(cmd.Environ(), "AGENTCTL_HTTP_ADDR="+addr)
					said, _ := cmd.CombinedOutput() // it may well fail
					if len(said) == 0 && args[0] != "completion" {
						t.Errorf("%s -format=%s says nothing", line, format)
					}
					wantTame(t, line+" -format="+format, said)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			delete(unasked, "with an error")
			if status == http.StatusOK && len(unasked) > 0 {
				t.Errorf("no command asks for %v", slices.Sorted(maps.Keys(unasked)))
			}
		})
	}
}

// The same holds for a program in the place of the RPC server, and all commands that
// use it.
func TestNothingOfAnRPCAnswerActsOnATerminal(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]string{"an error": hostile, "an answer": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var serving sync.WaitGroup
			defer serving.Wait()
			defer ln.Close()
			serving.Go(func() {
				for {
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					serving.Go(func() { answerHostile(conn, failure) })
				}
			})
			for _, line := range []string{
				"members", "members -detailed", "members -format=json", "info", "info -format=json", "join a", "leave", "force-leave a",
				"event a", "event -wait=300ms a", "keys -list", "keys -install=a", "keys -use=a", "keys -remove=a",
				"query a", "query -format=json a", "rtt a", "rtt a b", "tags -set a=b", "monitor", "reachability",
			} {
				args := strings.Fields(line)
				args = append([]string{args[0], "-rpc-addr=" + ln.Addr().String()}, args[1:]...)
				said, _ := exec.Command("agentctl", args...).CombinedOutput() // it may well fail
				if len(said) == 0 && failure != "" {
					t.Errorf("%s says nothing", line)
				}
				wantTame(t, line, said)
			}
		})
	}
}

// answerHostile answers each request with hostile words, and ends the connection after
// some commands that would go on.
func answerHostile(conn net.Conn, failure string) {
	defer conn.Close()
	r, w := wire.NewReader(conn, wire.DefaultLimits), wire.NewWriter(conn)
	for {
		var h wire.RequestHeader
		if r.Read(&h) != nil || h.Command.HasRequest() && r.Read(nil) != nil {
			return
		}
		answer := wire.ResponseHeader{Seq: h.Seq}
		if h.Command != wire.Handshake {
			answer.Error, answer.Warning, answer.ID, answer.HTTPAddr = failure, hostile, hostile, hostile
		}
		var body any
		switch h.Command {
		case wire.Join:
			body = wire.JoinResponse{}
		case wire.Members, wire.MembersFiltered:
			body = hostileAnswer[wire.MembersResponse](nil)()
		case wire.InstallKey, wire.UseKey, wire.RemoveKey, wire.ListKeys:
			body = hostileAnswer[wire.KeyResponse](nil)()
		case wire.Stats:
			// It has lines of its own, and all of it is what the agent says of itself.
			tame := strings.ReplaceAll(hostile, "\n", "")
			body = map[string]map[string]string{"agent": {tame: tame}, tame: {tame: tame}}
		case wire.GetCoordinate:
			body = hostileAnswer[wire.CoordinateResponse](nil)()
		}
		if w.Write(answer, body) != nil {
			return // the client has gone
		}
		switch h.Command {
		case wire.Monitor:
			w.Write(wire.ResponseHeader{Seq: h.Seq}, wire.LogRecord{Log: hostile})
			return
		case wire.Query:
			for _, typ := range []string{wire.QueryAck, wire.QueryResponse, wire.QueryDone} {
				w.Write(wire.ResponseHeader{Seq: h.Seq}, wire.QueryRecord{Type: typ, From: hostile, Payload: []byte(hostile)})
			}
		}
	}
}
