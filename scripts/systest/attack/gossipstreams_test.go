//go:build linux

package attack

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// syncHead is the head of a full sync, in msgpack: so many nodes follow, and then so many
// bytes of serf's.
func syncHead(nodes, state uint32) []byte {
	b := binary.BigEndian.AppendUint32([]byte("\x06\x83\xa5Nodes\xce"), nodes)
	b = binary.BigEndian.AppendUint32(append(b, "\xacUserStateLen\xce"...), state)
	return append(b, "\xa4Join\xc2"...)
}

// newGossiper starts a victim that encrypts gossip with a key, or none where it is nil.
func newGossiper(t *testing.T, key []byte) *victim {
	t.Helper()
	args := []string{"-log-level=warn"}
	if key != nil {
		args = append(args, "-encrypt="+base64.StdEncoding.EncodeToString(key))
	}
	v := &victim{}
	var err error
	if v.Node, err = startStarved(t.TempDir(), false, 0, args); err != nil {
		t.Fatal(err)
	}
	proc.KillAtEnd(t, v.Process)
	v.befriend(t)
	v.log0, v.rss0, v.goroutines0 = v.logSize(), v.rss(t), v.goroutines(t)
	return v
}

// holdStreams opens streams of gossip, a share from each of some hosts, and writes the
// same on each. It keeps them until the agent closes them, or the test does.
func (v *victim) holdStreams(t *testing.T, hosts, streams int, raw []byte) {
	t.Helper()
	var writing sync.WaitGroup
	for i := range streams {
		writing.Go(func() {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 9, byte(1+i%hosts))}, Timeout: testkit.Patience}
			conn, err := d.Dial("tcp", v.Gossip)
			if err != nil {
				return // it is turned away
			}
			t.Cleanup(func() { conn.Close() })
			conn.SetDeadline(time.Now().Add(3 * time.Second))
			conn.Write(raw) // it may be cut off
			conn.Read(make([]byte, 1))
		})
	}
	writing.Wait()
}

// Streams of gossip announce much, bring much, or grow when they are read, many at a
// time and from several hosts. What all of them hold is bounded.
func TestGossipStreamsThatHold(t *testing.T) {
	asUsersHaveIt(t)
	key := bytes.Repeat([]byte{7}, 32)
	encrypted := func(n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{10}, n) }
	for name, c := range map[string]struct {
		key            []byte
		hosts, streams int
		raw            []byte
	}{
		"a state is announced":    {nil, 8, 200, syncHead(0, 20<<20)},
		"nodes are announced":     {nil, 8, 200, syncHead(1<<20, 0)},
		"a state has no end":      {nil, 8, 300, append(syncHead(0, 20<<20), make([]byte, 1<<20-100)...)},
		"an outsider's":           {key, 8, 300, append(encrypted(20<<20), make([]byte, 1<<20-100)...)},
		"an outsider's, long":     {key, 8, 24, append(encrypted(20<<20), make([]byte, 19<<20)...)},
		"a member's bombs":        {key, 8, 32, encryptedStream(t, key, compressed(t, make([]byte, 39<<20)))},
		"a member's announcement": {key, 8, 200, encryptedStream(t, key, syncHead(1<<20, 20<<20))},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			v := newGossiper(t, c.key)
			quiet := v.publishTimed(t, 200)
			done := make(chan struct{})
			go func() {
				defer close(done)
				v.holdStreams(t, c.hosts, c.streams, c.raw)
			}()
			flooded := v.publishTimed(t, 200)
			<-done
			if v.Ended() {
				t.Fatalf("the agent has ended: %s", proc.Tail(v.Printed(), 4<<10))
			}
			v.publish(t, 20)
			if r := v.report(); r != "" {
				t.Errorf("the client that behaves: %s", r)
			}
			grew := peakMemory(t, v.Node) - v.rss0
			t.Logf("%d KiB more at most; 99 of 100 events were taken within %v, before within %v", grew, flooded, quiet)
			if grew > gossipGrowth {
				t.Errorf("memory grew by %d KiB, more than %d", grew, gossipGrowth)
			}
		})
	}
}

// gossipGrowth is by how much streams of gossip may make an agent grow, in KiB.
const gossipGrowth = 96 << 10

// A member sends what memberlist cannot read once it is decrypted: nothing, what was
// never padded, and that again within another message. The agent lives on.
func TestMembersThatWouldEndAnAgent(t *testing.T) {
	asUsersHaveIt(t)
	key := bytes.Repeat([]byte{7}, 32)
	unpadded := sealed(t, key, append(make([]byte, 15), 255), nil)
	unpadded[0] = 0 // the version that pads
	for name, attack := range map[string]func(t *testing.T, v *victim){
		"nothing":           func(t *testing.T, v *victim) { v.holdStreams(t, 1, 1, encryptedStream(t, key, nil)) },
		"no padding":        func(t *testing.T, v *victim) { v.packets(t).Write(unpadded) },
		"no padding, twice": func(t *testing.T, v *victim) { v.packets(t).Write(sealed(t, key, unpadded, nil)) },
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			v := newGossiper(t, key)
			attack(t, v)
			v.publish(t, 200)
			if r := v.report(); r != "" {
				t.Errorf("the client that behaves: %s", r)
			}
			if v.Ended() {
				t.Fatalf("the agent has ended: %s", proc.Tail(v.Printed(), 4<<10))
			}
		})
	}
}
