package admission

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func at(client string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(client), Port: 1} }

// crowd lets connections in, and notes those that are given up.
type crowd struct {
	*Limit
	gone []string
}

func (c *crowd) admit(t *testing.T, client, name string) *Conn {
	t.Helper()
	conn, _, ok := c.Admit(at(client), func() { c.gone = append(c.gone, name) })
	if !ok {
		t.Fatalf("%s of %s is not let in", name, client)
	}
	return conn
}

// A newcomer costs the client with the most waiting connections the oldest of them.
func TestTheGreediestPays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{Limit: NewLimit(6, 5)}
		honest := c.admit(t, "10.0.0.1", "honest")
		time.Sleep(time.Second)
		works := c.admit(t, "10.0.0.2", "works")
		works.Work()
		for i := range 4 {
			time.Sleep(time.Second)
			c.admit(t, "10.0.0.2", fmt.Sprint("greedy", i))
		}
		c.admit(t, "10.0.0.3", "another")
		c.admit(t, "10.0.0.4", "a third")
		if want := []string{"greedy0", "greedy1"}; !slices.Equal(c.gone, want) {
			t.Errorf("given up: %q, want %q", c.gone, want)
		}
		honest.Leave()
		honest.Leave()
		c.admit(t, "10.0.0.2", "in its place")
		if len(c.gone) != 2 {
			t.Errorf("%q is given up, though there is room", c.gone[2:])
		}
	})
}

// What works is never given up. So a client that works with all it may have is
// refused, and others are not.
func TestWhoWorksStays(t *testing.T) {
	t.Parallel()
	c := &crowd{Limit: NewLimit(4, 3)}
	var working []*Conn
	for i := range 3 {
		conn := c.admit(t, "10.0.0.2", fmt.Sprint("works", i))
		working = append(working, conn)
		if !conn.Work() {
			t.Error("it was given up")
		}
	}
	if _, _, ok := c.Admit(at("10.0.0.2"), func() {}); ok {
		t.Error("a fourth is let in, of three for each")
	}
	other := c.admit(t, "10.0.0.1", "other")
	c.admit(t, "10.0.0.3", "takes its place")
	if other.Work() {
		t.Error("it was given up, and may work")
	}
	other.Wait()
	other.Leave()
	working[0].Wait()
	c.admit(t, "10.0.0.2", "a newcomer of the same client")
	if want := []string{"other", "works0"}; !slices.Equal(c.gone, want) {
		t.Errorf("given up: %q, want %q", c.gone, want)
	}
}

// Whatever clients do, the limits hold, what works stays, and nothing is kept of who
// has gone.
func TestLimitsHold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const most, each = 5, 3
		l := NewLimit(most, each)
		type held struct {
			*Conn
			client string
			works  bool
		}
		var all []*held
		count := func(client string) (n, waiting int) {
			for _, h := range all {
				if client == "" || h.client == client {
					n++
					if !h.works {
						waiting++
					}
				}
			}
			return n, waiting
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				if n, _ := count(""); n != l.held || n > most {
					t.Fatalf("%d are held, %d counted", n, l.held)
				}
				for name, c := range l.clients {
					if n, waiting := count(name); n != c.held || n == 0 || n > each || waiting != c.waiting.Len() {
						t.Fatalf("%s holds %d, %d counted", name, n, c.held)
					}
				}
			},
			"come": func(t *rapid.T) {
				h := &held{client: rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}).Draw(t, "client")}
				own, ownWaiting := count(h.client)
				n, waiting := count("")
				room := own < each && (n < most || waiting > 0) || own >= each && ownWaiting > 0
				var gaveUp, ok bool
				h.Conn, gaveUp, ok = l.Admit(at(h.client), func() {
					i := slices.Index(all, h)
					if all[i].works {
						t.Error("one that works is given up")
					}
					all = slices.Delete(all, i, i+1)
				})
				if ok != room || ok && gaveUp != (own >= each || n >= most) {
					t.Fatalf("let in: %v, and another given up: %v", ok, gaveUp)
				}
				if ok {
					all = append(all, h)
				}
			},
			"change": func(t *rapid.T) {
				if len(all) == 0 {
					t.Skip("nobody is there")
				}
				i := rapid.IntRange(0, len(all)-1).Draw(t, "who")
				switch h := all[i]; rapid.SampledFrom([]string{"work", "wait", "leave"}).Draw(t, "how") {
				case "work":
					h.works = true
					h.Work()
				case "wait":
					h.works = false
					h.Wait()
				case "leave":
					h.Leave()
					all = slices.Delete(all, i, i+1)
				}
			},
		})
	})
}

func TestShare(t *testing.T) {
	t.Parallel()
	s := NewShare(3, 2)
	var leave []func()
	for _, client := range []string{"a", "a", "b"} {
		end, ok := s.Enter(client)
		if !ok {
			t.Fatalf("%s is refused", client)
		}
		leave = append(leave, end)
	}
	if _, ok := s.Enter("c"); ok {
		t.Error("a fourth is let in, of three")
	}
	leave[2]()
	leave[2]()
	if _, ok := s.Enter("a"); ok {
		t.Error("a third is let in, of two for each")
	}
	if _, ok := s.Enter("b"); !ok {
		t.Error("b is refused, though there is room")
	}
	leave[0]()
	leave[1]()
	if len(s.by) != 1 || s.taken != 1 {
		t.Errorf("kept: %v", s.by)
	}
}

func TestClientOf(t *testing.T) {
	t.Parallel()
	for addr, want := range map[net.Addr]string{
		nil: "",
		&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5}:                "10.0.0.1",
		&net.TCPAddr{IP: net.ParseIP("::1"), Port: 5}:                   "::1",
		&net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 5}:           "2001:db8::/64",
		&net.TCPAddr{IP: net.ParseIP("2001:db8::ffff:2"), Port: 6}:      "2001:db8::/64",
		&net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 5, Zone: "eth0"}: "fe80::/64",
		&net.UnixAddr{Name: "", Net: "unix"}:                            "unix",
		&net.UnixAddr{Name: "@", Net: "unix"}:                           "unix",
	} {
		if got := ClientOf(addr); got != want {
			t.Errorf("%v: %q, want %q", addr, got, want)
		}
	}
}
