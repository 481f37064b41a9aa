//go:build linux

package attack

import (
	"bytes"
	"compress/lzw"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// compressed is a compressed message of memberlist's.
func compressed(t *testing.T, plain []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := lzw.NewWriter(&buf, lzw.LSB, 8)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	head := []byte("\x09\x82\xa4Algo\x00\xa3Buf\xdb\x00\x00\x00\x00")
	binary.BigEndian.PutUint32(head[len(head)-4:], uint32(buf.Len()))
	return append(head, buf.Bytes()...)
}

// Whoever reaches the gossip port, without a key, may send what grows in memory: packets
// and streams of compressed zeros, lists of nothing, and events of ever new names. The
// agent stays small, and its events go on.
func TestGossipThatGrows(t *testing.T) {
	asUsersHaveIt(t)
	// MiB at the peak. The journal's history, which names may fill, has 64 of them at most.
	const most = 224
	zeros := compressed(t, make([]byte, 39<<20))
	list := append([]byte("\x06\x83\xa5Nodes\x00\xacUserStateLen\xce\x00\x00\x00\x00\xa4Join\xc2"), "\x02\x81\xa6Events\xdd\x01\x20\x00\x00"...)
	size := len("\x02\x81\xa6Events\xdd\x01\x20\x00\x00") + 0x1200000
	binary.BigEndian.PutUint32(list[bytes.IndexByte(list, 0xce)+1:], uint32(size))
	list = append(list, bytes.Repeat([]byte{0xc0}, 0x1200000)...)
	for name, attack := range map[string]func(t *testing.T, v *victim){
		"packets": func(t *testing.T, v *victim) {
			conn := v.packets(t)
			for range testkit.Setting(t, "AGENTCTL_TEST_BOMBS", 300, 3000) {
				conn.Write(zeros[:min(len(zeros), 65_000)])
				time.Sleep(time.Millisecond)
			}
		},
		"streams":          func(t *testing.T, v *victim) { v.streams(t, zeros) },
		"lists of nothing": func(t *testing.T, v *victim) { v.streams(t, compressed(t, list)) },
		"names": func(t *testing.T, v *victim) {
			conn := v.packets(t)
			for i := range testkit.Setting(t, "AGENTCTL_TEST_NAMES", 20_000, 400_000) {
				name := fmt.Sprintf("%s-%d", strings.Repeat("n", 200), i)
				conn.Write(fmt.Appendf(nil, "\x08\x03\x82\xa5LTime\xce%s\xa4Name\xda%s%s", binary.BigEndian.AppendUint32(nil, uint32(1000+i)),
					binary.BigEndian.AppendUint16(nil, uint16(len(name))), name))
				if i%100 == 99 {
					time.Sleep(time.Millisecond)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVictim(t, false, "", 0)
			before := peakMemory(t, v.Node) >> 10
			attack(t, v)
			if v.Ended() {
				t.Fatalf("the agent has ended: %s", proc.Tail(v.Printed(), 4<<10))
			}
			v.publish(t, 20)
			if r := v.report(); r != "" {
				t.Errorf("the client that behaves: %s", r)
			}
			peak := peakMemory(t, v.Node) >> 10
			t.Logf("%d MiB at the peak, %d before", peak, before)
			if peak > most {
				t.Errorf("the agent took %d MiB", peak)
			}
		})
	}
}

// packets is a socket for packets to the gossip port.
func (v *victim) packets(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("udp", v.Gossip)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// streams sends the same over some streams at a time, and waits until each is closed.
func (v *victim) streams(t *testing.T, raw []byte) {
	t.Helper()
	done := make(chan struct{})
	const n = 16
	for range n {
		go func() {
			defer func() { done <- struct{}{} }()
			conn, err := net.Dial("tcp", v.Gossip)
			if err != nil {
				return
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(testkit.Patience))
			conn.Write(raw) // it may be cut off
			conn.(*net.TCPConn).CloseWrite()
			for buf := make([]byte, 1<<16); err == nil; {
				_, err = conn.Read(buf)
			}
		}()
	}
	for range n {
		<-done
	}
}
