package target

import (
	"testing"
	"time"

	"agentctl/handler"
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
