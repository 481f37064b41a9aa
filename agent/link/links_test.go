package link

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// testKey makes a key of a keyring.
func testKey(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:]
}

func withKeys(names ...string) func(*Config) {
	return func(c *Config) {
		c.Keys = func() (keys [][]byte) {
			for _, n := range names {
				keys = append(keys, testKey(n))
			}
			return keys
		}
	}
}

func TestMessagesArriveOnceAndInOrder(t *testing.T) {
	for name, change := range map[string]func(*Config){"plain": nil, "keyed": withKeys("one")} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				mem := newMemNet()
				a, b := memNode(t, mem, 1, change), memNode(t, mem, 2, change)
				want := append(numbered(3000), strings.Repeat("x", 68<<10))
				a.send(b.peer, want...)
				b.send(a.peer, "back")
				synctest.Wait()
				wantMessages(t, b.received(), want...)
				wantMessages(t, a.received(), "back")
				if from := b.from[0]; from.Name != "node1" || from.version != maxVersion {
					t.Errorf("the messages came from %+v, not from node1", from)
				}
				if n := mem.dialed(); n != 2 {
					t.Errorf("%d links were opened, not one for each sender", n)
				}
				if out, in := a.metric("agentctl_link_open", "out"), a.metric("agentctl_link_open", "in"); out != 1 || in != 1 {
					t.Errorf("%v links out and %v in are counted", out, in)
				}
				if n := a.metric("agentctl_link_messages_total", "acknowledged"); n != float64(len(want)) {
					t.Errorf("%v of %d messages are acknowledged", n, len(want))
				}
			})
		})
	}
}

func TestBroadcastReachesAllAndKeepsItsOwnCopy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a, b, c := memNode(t, mem, 1, nil), memNode(t, mem, 2, nil), memNode(t, mem, 3, nil)
		msg := []byte("purge")
		if err := a.Broadcast([]Peer{b.peer, c.peer}, msg); err != nil {
			t.Fatal(err)
		}
		copy(msg, "other")
		synctest.Wait()
		wantMessages(t, b.received(), "purge")
		wantMessages(t, c.received(), "purge")
	})
}

func TestSendRefusesWhatNoPeerCouldGet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, func(c *Config) { c.MaxMessage = 10 })
		for _, msg := range []string{"", "eleven byte"} {
			if err := a.Broadcast([]Peer{Peer{Name: "b"}}, []byte(msg)); !errors.Is(err, errTooLong) {
				t.Errorf("sending %d bytes: %v", len(msg), err)
			}
		}
		a.process()
		if err := a.Broadcast([]Peer{Peer{Name: "b"}}, []byte("late")); !errors.Is(err, errNotRunning) {
			t.Errorf("sending after Run: %v", err)
		}
		if err := a.Run(t.Context()); err == nil {
			t.Error("Run can be called twice")
		}
	})
}

// A peer that takes shorter messages gets those, and the sender is told.
func TestMessageLongerThanThePeerTakes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, nil)
		b := memNode(t, mem, 2, func(c *Config) { c.MaxMessage = 10 })
		a.send(b.peer, "before", "this is too long", "after")
		time.Sleep(time.Second)
		wantMessages(t, b.received(), "before", "after")
		if n := a.behindBy("node2"); n != 1 || a.saidNoPeer("node2") {
			t.Errorf("Behind was told of %d messages, not of 1", n)
		}
		if n := a.metric("agentctl_link_dropped_total", dropTooLong); n != 1 {
			t.Errorf("%v messages are counted as too long", n)
		}
	})
}

func TestIdleLinkIsClosedAndOpenedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a, b := memNode(t, mem, 1, nil), memNode(t, mem, 2, nil)
		a.send(b.peer, "one")
		time.Sleep(4 * time.Minute)
		a.send(b.peer, "two")
		time.Sleep(4 * time.Minute)
		if n := a.metric("agentctl_link_open", "out"); n != 1 {
			t.Errorf("%v links are open 4 minutes after the last message", n)
		}
		time.Sleep(90 * time.Second)
		if n := a.metric("agentctl_link_open"); n != 0 {
			t.Errorf("%v links are open after the idle timeout", n)
		}
		time.Sleep(10 * time.Minute)
		if n := a.known(); n != 0 {
			t.Errorf("%d peers are remembered that nothing is sent to", n)
		}
		a.send(b.peer, "three")
		synctest.Wait()
		wantMessages(t, b.received(), "one", "two", "three")
	})
}

// A link that was opened to ask something, and brought no messages, is closed a
// minute after the last question.
func TestLinkForQuestionsIsClosedSooner(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a := memNode(t, mem, 1, nil)
		b := memNode(t, mem, 2, func(c *Config) {
			c.Handlers = map[Kind]Handler{KindRepair: func(context.Context, Peer, []byte) ([]byte, error) { return nil, nil }}
		})
		ask := func() {
			t.Helper()
			if _, err := a.Request(t.Context(), b.peer, KindRepair, nil); err != nil {
				t.Error(err)
			}
		}
		ask()
		time.Sleep(50 * time.Second)
		ask()
		time.Sleep(50 * time.Second)
		if n, dialed := a.metric("agentctl_link_open", "out"), mem.dialed(); n != 1 || dialed != 1 {
			t.Errorf("%v links are open of %d, 50 s after the second question", n, dialed)
		}
		time.Sleep(15 * time.Second)
		if open, known := a.metric("agentctl_link_open")+b.metric("agentctl_link_open"), a.known(); open != 0 || known != 0 {
			t.Errorf("%v links are open and %d peers known a minute after it", open, known)
		}
		ask()
		if n := mem.dialed(); n != 2 {
			t.Errorf("%d links were opened, want a second one for the third question", n)
		}
	})
}

// A forgotten peer's messages are dropped, and what is sent to it later is not
// taken for what it has had.
func TestForgottenPeerComesBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a, b := memNode(t, mem, 1, nil), memNode(t, mem, 2, nil)
		a.send(b.peer, "one", "two", "three")
		synctest.Wait()
		a.Forget("node2")
		synctest.Wait()
		if n := a.metric("agentctl_link_open"); n != 0 {
			t.Errorf("%v links are open to a forgotten peer", n)
		}
		a.send(b.peer, "four")
		synctest.Wait()
		gone := Peer{Name: "gone", Addr: "10.9.9.9:1"}
		a.send(gone, "never")
		a.Forget("gone")
		time.Sleep(time.Minute)
		wantMessages(t, b.received(), "one", "two", "three", "four")
		if n := a.metric("agentctl_link_dropped_total", dropForgotten); n != 1 {
			t.Errorf("%v messages to a forgotten peer are counted as dropped", n)
		}
	})
}

func TestConfigIsValidatedAtOnce(t *testing.T) {
	_, err := New(Config{
		MaxMessage: -1,
		Handlers:   map[Kind]Handler{kindEvents: nil},
	})
	if err == nil {
		t.Fatal("an empty configuration is taken")
	}
	for _, part := range []string{"Name", "Transport", "Deliver", "MaxMessage", "handler of kind 1"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not speak of %s: %v", part, err)
		}
	}
	if h := (hello{name: strings.Repeat("n", maxName), features: slices.Repeat([]string{strings.Repeat("f", maxFeature)}, maxFeatures)}); len(h.encode()) > maxHello {
		t.Errorf("the longest hello has %d bytes, more than %d", len(h.encode()), maxHello)
	}
}

// A link that breaks while nothing is under way is nobody's trouble.
func TestIdleLinkThatBreaksIsNotReported(t *testing.T) {
	bubble(t, func(t *testing.T) {
		mem := newMemNet()
		a, b := memNode(t, mem, 1, nil), memNode(t, mem, 2, nil)
		a.send(b.peer, "one")
		time.Sleep(time.Second)
		b.stop()
		time.Sleep(time.Minute)
		if text := a.log.String(); strings.Contains(text, "level=WARN") || mem.dialed() != 1 {
			t.Errorf("%d links were opened, and the log says:\n%s", mem.dialed(), text)
		}
	})
}
