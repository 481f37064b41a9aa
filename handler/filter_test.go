package handler

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseFilters(t *testing.T) {
	for s, want := range map[string]Filters{
		"":                             {{Type: "*"}},
		"*":                            {{Type: "*"}},
		"user":                         {{Type: User}},
		"user:":                        {{Type: User}},
		"member-join,user:kong,query:": {{Type: MemberJoin}, {Type: User, Name: "kong"}, {Type: Query}},
		"user:a:b=c d":                 {{Type: User, Name: "a:b=c d"}},
		"member-join,member-leave,member-failed,member-update,member-reap": {
			{Type: MemberJoin}, {Type: MemberLeave}, {Type: MemberFailed}, {Type: MemberUpdate}, {Type: MemberReap}},
	} {
		got, err := ParseFilters(s)
		if err != nil {
			t.Errorf("%q: %v", s, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", s, diff)
		}
	}
}

func TestParseFiltersError(t *testing.T) {
	for s, part := range map[string]string{
		"member-joined":      "member-joined",
		"user:kong, query":   " query",
		"user,":              "",
		"member-join:a":      "member-join:a",
		"user:kong,,query:x": "",
	} {
		_, err := ParseFilters(s)
		ferr, ok := errors.AsType[*filterError](err)
		if !ok || ferr.part != part {
			t.Errorf("%q: %v, want a FilterError of %q", s, err, part)
			continue
		}
		for _, typ := range types {
			if !strings.Contains(err.Error(), string(typ)) {
				t.Errorf("%q does not list %s", err, typ)
			}
		}
	}
}

func TestFiltersMatch(t *testing.T) {
	for _, c := range []struct {
		filters string
		typ     Type
		name    string
		want    bool
	}{
		{"*", MemberReap, "", true},
		{"", Query, "x", true},
		{"user:kong", User, "kong", true},
		{"user:kong", User, "kong2", false},
		{"user:kong", Query, "kong", false},
		{"user", User, "any", true},
		{"query:x", Query, "x", true},
		{"query:x", Query, "y", false},
		{"member-join,user:kong", MemberJoin, "", true},
		{"member-join,user:kong", MemberLeave, "", false},
		{"member-join,user:kong", User, "kong", true},
	} {
		fs, err := ParseFilters(c.filters)
		if err != nil {
			t.Fatal(err)
		}
		if got := fs.Match(c.typ, c.name); got != c.want {
			t.Errorf("%q matches %s %s: %v", c.filters, c.typ, c.name, got)
		}
	}
	if !(Filters{}).Match(User, "x") || (Filters{}).String() != "*" {
		t.Error("no filter is not every event")
	}
}
