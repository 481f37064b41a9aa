package target

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/scripts/testkit"
)

// The servers here are stand-ins: they answer as the documentation of Kong,
// Souin and APISIX says that these do, and no such server has been asked. The
// presets for Varnish, nginx, Squid and Caddy are tested on the real ones.

// standIn is a server that remembers what it was asked.
type standIn struct {
	mu     sync.Mutex
	asked  []string
	answer func(r *http.Request, body string) (status int)
	retry  string // Retry-After of its answers
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	line := r.Method + " " + r.RequestURI
	for _, name := range []string{"Surrogate-Key"} {
		if v := r.Header.Get(name); v != "" {
			line += " " + name + ": " + v
		}
	}
	s.asked = append(s.asked, line)
	status := s.answer(r, string(body))
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", s.retry)
	}
	w.WriteHeader(status)
}

// take returns what was asked since the last time.
func (s *standIn) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// presetOn makes a Poster of a preset for a stand-in.
func presetOn(t *testing.T, preset string, answer func(r *http.Request, body string) int) (*Poster, *standIn) {
	t.Helper()
	s := &standIn{answer: answer}
	srv := testkit.Serve(t, s.ServeHTTP)
	p, ok := FindPreset(preset)
	if !ok {
		t.Fatalf("no preset %q", preset)
	}
	return newPoster(t, p.At(srv.URL)), s
}

// outcome posts a payload, or with "" flushes, and tells in a word what comes
// of it.
func outcomeOf(t *testing.T, p *Poster, payload string) string {
	t.Helper()
	var err error
	if payload == "" {
		self := handler.NewMember(handler.MemberJoin, "", nil, time.Now())
		_, err = p.Flush(t.Context(), &self)
	} else {
		e := handler.NewUser(1, "e", []byte(payload), time.Now())
		_, err = p.Post(t.Context(), &e)
	}
	if err == nil {
		return "done"
	}
	perr, ok := errors.AsType[*PostError](err)
	if !ok {
		t.Fatal(err)
	}
	if perr.Class == Retry && perr.RetryAfter > 0 {
		return "retry after " + perr.RetryAfter.String()
	}
	return perr.Class.String()
}

// A stand-in for a modern Kong's cache endpoints: 204 whether the key was there
// or not. Keys come as they are in the URL, with their colons.
func TestStandInKongCache(t *testing.T) {
	cache := map[string]bool{"plugins:key-auth:8a5:::::": true, "services:1": true}
	p, s := presetOn(t, "kong-cache", func(r *http.Request, _ string) int {
		key, one := strings.CutPrefix(r.RequestURI, "/cache/")
		switch {
		case r.Method != http.MethodDelete:
			return http.StatusMethodNotAllowed
		case one && key != "":
			delete(cache, key)
		case r.RequestURI == "/cache":
			clear(cache)
		default:
			return http.StatusNotFound
		}
		return http.StatusNoContent
	})
	testkit.Want(t, "a key", outcomeOf(t, p, `{"key":"plugins:key-auth:8a5:::::"}`), "done")
	testkit.Want(t, "the cache", cache, map[string]bool{"services:1": true})
	testkit.Want(t, "one that is not there", outcomeOf(t, p, `{"key":"x"}`), "done")
	testkit.Want(t, "asked", s.take(), []string{"DELETE /cache/plugins:key-auth:8a5:::::", "DELETE /cache/x"})
	testkit.Want(t, "an empty key", outcomeOf(t, p, `{"key":""}`), "bury")
	testkit.Want(t, "no key", outcomeOf(t, p, `{}`), "bury")
	testkit.Want(t, "not sent", s.take(), []string(nil))
	testkit.Want(t, "flush", outcomeOf(t, p, ""), "done")
	testkit.Want(t, "the cache", len(cache), 0)
	testkit.Want(t, "asked", s.take(), []string{"DELETE /cache"})
}

// A stand-in for the /config of a Kong without a database: 201 once loaded, 304
// where check_hash finds it loaded already, 429 with Retry-After while it loads
// another, 400 for what is no configuration, 413 for one that does not fit.
func TestStandInKongDBLess(t *testing.T) {
	var loaded [32]byte
	busy := true
	p, s := presetOn(t, "kong-dbless", func(r *http.Request, body string) int {
		sum := sha256.Sum256([]byte(body))
		var conf map[string]any
		switch {
		case r.Method != http.MethodPost || r.URL.Path != "/config" || r.Header.Get("Content-Type") != "application/json":
			return http.StatusNotFound
		case r.URL.Query().Get("check_hash") == "1" && sum == loaded:
			return http.StatusNotModified
		case json.Unmarshal([]byte(body), &conf) != nil || conf["_format_version"] == nil:
			return http.StatusBadRequest
		case len(body) > 100:
			return http.StatusRequestEntityTooLarge
		case busy:
			busy = false
			return http.StatusTooManyRequests
		}
		loaded = sum
		return http.StatusCreated
	})
	s.retry = "3"
	const conf = `{"_format_version":"3.0"}`
	testkit.Want(t, "busy", outcomeOf(t, p, conf), "retry after 3s")
	testkit.Want(t, "loaded", outcomeOf(t, p, conf), "done")
	testkit.Want(t, "again", outcomeOf(t, p, conf), "done")
	testkit.Want(t, "no configuration", outcomeOf(t, p, `{}`), "bury")
	testkit.Want(t, "too large", outcomeOf(t, p, `{"_format_version":"`+strings.Repeat("3", 100)+`"}`), "bury")
	testkit.Want(t, "requests", len(s.take()), 5)
}

// A stand-in for Souin's API: PURGE with Surrogate-Key drops what has one of
// the keys, with commas between them; /flush drops everything; both 204.
func TestStandInSouin(t *testing.T) {
	p, s := presetOn(t, "souin", func(r *http.Request, _ string) int {
		if r.Method != "PURGE" || r.URL.Path != "/souin-api/souin" && r.URL.Path != "/souin-api/souin/flush" {
			return http.StatusNotFound
		}
		return http.StatusNoContent
	})
	testkit.Want(t, "tags", outcomeOf(t, p, `{"tags":["a","/b"]}`), "done")
	testkit.Want(t, "one tag", outcomeOf(t, p, `{"tags":"a"}`), "done")
	testkit.Want(t, "no tags", outcomeOf(t, p, `{"tags":[]}`), "bury")
	testkit.Want(t, "two in one", outcomeOf(t, p, `{"tags":["a, b"]}`), "bury")
	testkit.Want(t, "flush", outcomeOf(t, p, ""), "done")
	testkit.Want(t, "asked", s.take(), []string{
		"PURGE /souin-api/souin Surrogate-Key: a, /b", "PURGE /souin-api/souin Surrogate-Key: a", "PURGE /souin-api/souin/flush",
	})
}

// A stand-in for APISIX with its proxy-cache plugin on a route: PURGE answers
// 200 where it found the object, and 404 where not.
func TestStandInAPISIX(t *testing.T) {
	cache := map[string]bool{"www.example.org/a?b=c": true}
	p, s := presetOn(t, "apisix", func(r *http.Request, _ string) int {
		if r.Method != "PURGE" || !cache[r.Host+r.RequestURI] {
			return http.StatusNotFound
		}
		delete(cache, r.Host+r.RequestURI)
		return http.StatusOK
	})
	for range 2 {
		testkit.Want(t, "purge", outcomeOf(t, p, "https://www.example.org/a?b=c"), "done")
	}
	testkit.Want(t, "the cache", len(cache), 0)
	testkit.Want(t, "asked", s.take(), []string{"PURGE /a?b=c", "PURGE /a?b=c"})
}
