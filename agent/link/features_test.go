package link

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// Each side of a link knows the other's features, and nobody has those of a peer that a
// caller made.
func TestFeaturesAreTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		var opened []Peer
		a := memNode(t, mem, 1, func(c *Config) {
			c.Features = []string{"tree", "far"}
			c.Opened = func(p Peer) { opened = append(opened, p) }
		})
		b := memNode(t, mem, 2, func(c *Config) { c.Features = []string{"tree"} })
		a.send(b.peer, "one")
		synctest.Wait()
		if len(opened) != 1 || opened[0].Name != b.peer.Name || opened[0].Addr != b.peer.Addr {
			t.Fatalf("Opened was told of %+v, not of %+v", opened, b.peer)
		}
		for what, p := range map[string]Peer{"the peer that was opened to": opened[0], "one of Linked": a.Linked()[0]} {
			if !p.Has("tree") || p.Has("far") || p.Has("") {
				t.Errorf("%s has the features %q", what, p.features)
			}
		}
		for what, p := range map[string]Peer{"the sender of a message": b.from[0], "one of Linked": b.Linked()[0]} {
			if !p.Has("tree") || !p.Has("far") {
				t.Errorf("%s has the features %q", what, p.features)
			}
		}
		if b.peer.Has("tree") {
			t.Error("a peer made by hand has a feature")
		}
	})
}

func TestFeaturesAreBounded(t *testing.T) {
	inner := newMemNet().add(1)
	for want, features := range map[string][]string{
		"15 Features": slices.Repeat([]string{"f"}, 15),
		"33 bytes":    {strings.Repeat("f", 33)},
		"0 bytes":     {""},
	} {
		_, err := New(Config{Name: "a", Transport: inner, Deliver: func(Peer, [][]byte) Ack { return Ack{} }, Features: features})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error for %q is %v", features, err)
		}
	}
}

// A message is its parts, which the caller may change later.
func TestSendJoinsParts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, func(c *Config) { c.MaxMessage = 10 })
		b, c := memNode(t, mem, 2, nil), memNode(t, mem, 3, nil)
		head, body := []byte("one"), []byte("two")
		if err := a.Send([]Peer{b.peer, c.peer}, head, nil, body, []byte("more")); err != nil {
			t.Fatal(err)
		}
		copy(head, "???")
		copy(body, "???")
		synctest.Wait()
		wantMessages(t, b.received(), "onetwomore")
		wantMessages(t, c.received(), "onetwomore")
		for _, parts := range [][][]byte{nil, {{}, nil}, {bytes.Repeat([]byte("x"), 8), []byte("yyy")}} {
			if err := a.Send([]Peer{b.peer}, parts...); !errors.Is(err, errTooLong) {
				t.Errorf("sending %q: %v", parts, err)
			}
		}
	})
}
