package handler

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitHandler(t *testing.T) {
	for s, want := range map[string][2]string{
		"handle.sh":                       {"", "handle.sh"},
		"user:kong=handle.sh -x=1":        {"user:kong", "handle.sh -x=1"},
		"=handle.sh":                      {"", "handle.sh"},
		"":                                {"", ""},
		"http://h/?a=b":                   {"", "http://h/?a=b"},
		"HTTPS://h/?a=b":                  {"", "HTTPS://h/?a=b"},
		"unix:/run/a=b.sock:/x":           {"", "unix:/run/a=b.sock:/x"},
		"user:kong=http://h/?a=b":         {"user:kong", "http://h/?a=b"},
		"member-join,query:q=unix:/a:/?b": {"member-join,query:q", "unix:/a:/?b"},
		"*=https://h":                     {"*", "https://h"},
		"httpx=unix.sh":                   {"httpx", "unix.sh"},
	} {
		filter, what := SplitHandler(s)
		if got := [2]string{filter, what}; got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
	for what, want := range map[string]bool{
		"http://h": true, "https://h": true, "unix:/s": true, "Http://h": true,
		"": false, "http:/h": false, "/bin/http://": false, "unix": false, "curl http://h": false,
	} {
		if IsTarget(what) != want {
			t.Errorf("IsTarget(%q) = %v", what, !want)
		}
	}
}

func FuzzSplitHandler(f *testing.F) {
	for _, s := range []string{"", "a=b=c", "user:kong=http://h/?a=b", "http://h/?a=b", "unix:/x=y", "member-join,query:q=x", "*=*", "user:,user"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		filter, what := SplitHandler(s)
		switch s {
		case what, filter + "=" + what:
		default:
			t.Fatalf("%q came apart as %q and %q", s, filter, what)
		}
		if strings.Contains(filter, "=") {
			t.Fatalf("%q in the filter of %q", filter, s)
		}
		fs, err := ParseFilters(filter)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x00") {
				t.Fatalf("error of more than one line: %q", err)
			}
			return
		}
		if len(fs) != strings.Count(filter, ",")+1 {
			t.Fatalf("%q has %d filters", filter, len(fs))
		}
		again, err := ParseFilters(fs.String())
		if err != nil || !cmp.Equal(fs, again) {
			t.Fatalf("%q reads back as %v, %v", fs, again, err)
		}
	})
}
