package link

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// ring is a keyring that tests change.
type ring struct {
	mu   sync.Mutex
	keys []string
}

func (r *ring) set(keys ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = keys
}

func (r *ring) config(c *Config) {
	c.Keys = func() (keys [][]byte) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, k := range r.keys {
			keys = append(keys, testKey(k))
		}
		return keys
	}
}

// Keys are rotated as serf does it, node after node, while messages flow: none
// is lost, links go on until their key is removed, and then end soon.
func TestKeysAreRotatedUnderTraffic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		rings := []*ring{{keys: []string{"old"}}, {keys: []string{"old"}}, {keys: []string{"old"}}}
		var nodes []*node
		for i, r := range rings {
			nodes = append(nodes, memNode(t, mem, i+1, r.config))
		}
		var want []string
		say := func(text string) {
			want = append(want, text)
			for _, from := range nodes {
				for _, to := range nodes {
					if to != from {
						from.send(to.peer, text)
					}
				}
			}
			time.Sleep(2 * keysInterval)
		}
		say("before")
		first := nodes[0].linkTo("node2")
		for step, keys := range [][]string{{"old", "new"}, {"new", "old"}} { // install, use
			for i, r := range rings {
				r.set(keys...)
				say(strings.Join(keys, " ") + nodes[i].peer.Name)
				nodes[i].Forget("node9") // no such peer: nothing happens
			}
			if nodes[0].linkTo("node2") != first {
				t.Errorf("a link was closed in step %d, though its key is on all keyrings", step)
			}
		}
		// A new link in the middle of a rotation: node1 has the new key as its
		// primary, and node3 not at all.
		rings[2].set("old")
		time.Sleep(2 * keysInterval)
		nodes[0].Forget("node3")
		say("keys differ")
		if got := nodes[2].bySender()["node1"]; got[len(got)-1] != "keys differ" {
			t.Errorf("node3, whose keyring is older, has received %q at last", got[len(got)-1])
		}
		rings[2].set("new", "old")
		for i, r := range rings { // remove
			r.set("new")
			say("removed" + nodes[i].peer.Name)
		}
		if lk := nodes[0].linkTo("node2"); lk == first || lk == nil || lk.key != newPSK(testKey("new")) {
			t.Error("a link with the removed key is still in use")
		}
		for _, n := range nodes {
			got := n.bySender()
			if len(got) != 2 {
				t.Errorf("%s heard of %d others", n.peer.Name, len(got))
			}
			for from, msgs := range got {
				if strings.Join(msgs, "|") != strings.Join(want, "|") {
					t.Errorf("%s received %q from %s, want %q", n.peer.Name, msgs, from, want)
				}
			}
		}
	})
}

// Keyed and plain agents refuse each other, say why, and mix nothing up.
func TestPlainAndKeyedRefuseEachOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		plain, keyed := memNode(t, mem, 1, nil), memNode(t, mem, 2, withKeys("one"))
		for _, c := range []struct {
			from, to *node
			text     string
		}{{plain, keyed, "it has a keyring"}, {keyed, plain, "it has no keyring"}} {
			_, err := c.from.Request(t.Context(), c.to.peer, KindBody, nil)
			if refused, ok := errors.AsType[*refusedError](err); !ok || !strings.Contains(refused.Error(), c.text) {
				t.Errorf("%v does not say %q", err, c.text)
			}
			if n := c.from.metric("agentctl_link_dials_total", "refused"); n != 1 {
				t.Errorf("%v refused links are counted", n)
			}
		}
	})
}

// A keyring without keys, as by a mistake, is not taken for none: there are no
// links, rather than plain ones, until it has some.
func TestEmptyKeyringTrustsNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		empty := &ring{}
		a, plain, keyed := memNode(t, mem, 1, empty.config), memNode(t, mem, 2, nil), memNode(t, mem, 3, withKeys("one"))
		a.send(plain.peer, "secret")
		a.send(keyed.peer, "for a holder of the key")
		plain.send(a.peer, "from anyone")
		keyed.send(a.peer, "from a holder of the key")
		time.Sleep(time.Minute)
		for _, n := range []*node{a, plain, keyed} {
			wantMessages(t, n.received())
		}
		empty.set("one")
		time.Sleep(10 * time.Second)
		wantMessages(t, a.received(), "from a holder of the key")
		wantMessages(t, keyed.received(), "for a holder of the key")
		wantMessages(t, plain.received())
	})
}
