package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// kept keeps what is published.
type kept []string

func (k *kept) subscribe(context.Context, func([]byte)) error { return nil }

func (k *kept) publish(_ context.Context, messages func(func([]byte) bool)) error {
	for m := range messages {
		*k = append(*k, string(m))
	}
	return nil
}

func TestPublishesWhatIsAskedFor(t *testing.T) {
	var k kept
	var out strings.Builder
	if err := publish(t.Context(), &k, strings.NewReader("1 0 2\n7 5 1\n"), &out); err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), "\n") != 2 || len(k) != 3 {
		t.Fatalf("%q, and %v", out.String(), k)
	}
	for i, want := range []string{`{"id":"1-0"`, `{"id":"1-1"`, `{"id":"7-5"`} {
		if !strings.Contains(k[i], want) || len(k[i]) != 240 {
			t.Errorf("message %d, of %d bytes, is %s", i, len(k[i]), k[i])
		}
	}
	if err := publish(t.Context(), &k, strings.NewReader("x\n"), io.Discard); err == nil {
		t.Error("a line that cannot be read is no error")
	}
}

// Both clients POST the message, and tell of a refusal.
func TestPosters(t *testing.T) {
	for _, client := range []string{"net/http", "http1"} {
		status := http.StatusOK
		var got []string
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = append(got, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Content-Type")+" "+string(body))
			w.WriteHeader(status)
		}))
		defer s.Close()
		post, err := newPoster(client, s.URL+"/a?b")
		if err != nil {
			t.Fatal(err)
		}
		if err := post(t.Context(), []byte("m")); err != nil || len(got) != 1 || got[0] != "POST /a?b application/json m" {
			t.Errorf("%s: %v, %q", client, err, got)
		}
		status = http.StatusInternalServerError
		if err := post(t.Context(), []byte("m")); err == nil || !strings.Contains(err.Error(), "500") {
			t.Errorf("%s: %v", client, err)
		}
	}
	if _, err := newPoster("other", "http://localhost"); err == nil {
		t.Error("an unknown client is no error")
	}
}
