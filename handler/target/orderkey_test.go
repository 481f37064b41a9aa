package target

import (
	"strings"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/scripts/testkit"
)

func TestOrderKey(t *testing.T) {
	const nested = `{"collection":"apis","entity":{"id":7,"on":true,"list":[1,{"x":"y"}],"none":null}}`
	for _, c := range []struct {
		key, a, b string
		same      bool
	}{
		{"payload", "a", "a", true},
		{"payload", "a", "b", false},
		{"payload", "", "", true},
		{"collection", nested, `{ "collection": "\u0061pis" }`, true},
		{"collection+entity.id", nested, `{"entity":{"id":7.0},"collection":"apis"}`, true},
		{"collection+entity.id", nested, `{"entity":{"id":8},"collection":"apis"}`, false},
		{"collection+entity.id", nested, `{"entity":{"id":"7"},"collection":"apis"}`, false},
		{"entity.on", nested, `{"entity":{"on":true}}`, true},
		{"entity.on", nested, `{"entity":{"on":false}}`, false},
		{"entity.list.0", nested, `{"entity":{"list":{"0":1}}}`, true},
		{"entity.list.1.x", nested, `{"entity":{"list":[0,{"x":"z"}]}}`, false},
		// Joined values must not be mistaken for each other.
		{"a+b", `{"a":"xy","b":"z"}`, `{"a":"x","b":"yz"}`, false},
		{"a+b", `{"a":"xsy","b":"z"}`, `{"a":"x","b":"ysz"}`, false},
		{"a+b", `{"a":true,"b":false}`, `{"a":false,"b":true}`, false},
	} {
		k, err := ParseOrderKey(c.key)
		if err != nil {
			t.Fatal(err)
		}
		number := func(payload string) uint64 {
			e := handler.NewUser(1, "kong", []byte(payload), time.Now())
			n, ok := k.Of(&e)
			if !ok {
				t.Errorf("%s has no key %s", payload, c.key)
			}
			return n
		}
		if same := number(c.a) == number(c.b); same != c.same {
			t.Errorf("%s of %s and %s: same is %v", c.key, c.a, c.b, same)
		}
	}
}

func TestOrderKeyMissing(t *testing.T) {
	k, err := ParseOrderKey("collection+entity.list.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range []string{
		"", "no JSON", `{"collection":"apis"`, `{"collection":"apis","entity":{"list":[1,2]}} x`, `"text"`, "null", "[]",
		`{"collection":"apis"}`, `{"entity":{"list":[1,2]}}`,
		`{"collection":null,"entity":{"list":[1,2]}}`, `{"collection":["apis"],"entity":{"list":[1,2]}}`,
		`{"collection":"apis","entity":{"list":[1]}}`, `{"collection":"apis","entity":{"list":"12"}}`,
		`{"collection":"apis","entity":{"list":[1,1e999]}}`,
	} {
		e := handler.NewUser(1, "kong", []byte(payload), time.Now())
		if _, ok := k.Of(&e); ok {
			t.Errorf("%q has a key", payload)
		}
	}
	whole, err := ParseOrderKey(wholePayload)
	if err != nil {
		t.Fatal(err)
	}
	e := handler.NewMember(handler.MemberJoin, "1", []byte("n\t127.0.0.1\t\t\n"), time.Now())
	if _, ok := whole.Of(&e); ok {
		t.Error("a member event has a key")
	}
}

func TestTargetConcurrency(t *testing.T) {
	d := Target{URL: "http://h"}.WithDefaults()
	testkit.Want(t, "defaults", []any{d.Concurrency, d.OrderKey}, []any{1, "payload"})
	for _, good := range []Target{
		{Concurrency: maxConcurrency, OrderKey: "collection+entity.id"}, {OrderKey: "0.x y.ü"},
	} {
		good.URL = "http://h"
		if err := good.Validate(); err != nil {
			t.Error(err)
		}
	}
	for wanted, bad := range map[string]Target{
		"concurrency: -1 is not within 1 to 256":  {Concurrency: -1},
		"concurrency: 257 is not within 1 to 256": {Concurrency: 257},
		`order key: "a..b" has an empty name`:     {OrderKey: "a..b"},
		`order key: "a+" has an empty name`:       {OrderKey: "a+"},
		"max age: -1ns is negative":               {MaxAge: -1},
		"stands alone":                            {OrderKey: "payload+a"},
		"must be printable":                       {OrderKey: "a\x1b"},
		"1025 bytes are more than 1024":           {OrderKey: strings.Repeat("x", 1025)},
	} {
		bad.URL = "http://h"
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("%v does not say %q", err, wanted)
		}
	}
}
