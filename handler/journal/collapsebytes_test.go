package journal

import (
	"testing"
	"time"

	"agentctl/handler"
)

// An equal hash proves nothing: the bytes are compared.
func TestCollapseComparesTheBytes(t *testing.T) {
	j := New(Config{})
	c, err := j.Cursor("a", CursorConfig{Collapse: true})
	if err != nil {
		t.Fatal(err)
	}
	one, other := handler.NewUser(1, "kong", []byte("key 1"), time.Now()), handler.NewUser(2, "kong", []byte("key 2"), time.Now())
	if err := j.Append(one); err != nil {
		t.Fatal(err)
	}
	c.leaders[leadersKey(&other)] = c.waiting.At(0)
	if err := j.Append(other); err != nil {
		t.Fatal(err)
	}
	if n := c.waiting.Len(); n != 2 {
		t.Errorf("%d wait by themselves, want 2", n)
	}
}
