package testkit

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// NotifySocket stands in for systemd: it keeps what a service tells it.
type NotifySocket struct {
	Path string // for the service's NOTIFY_SOCKET

	mu   sync.Mutex
	told []string
}

// NewNotifySocket listens until the end of the test. It skips the test where the
// system has no such sockets.
func NewNotifySocket(t *testing.T) *NotifySocket {
	t.Helper()
	dir, err := os.MkdirTemp("", "agentctl-") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	s := &NotifySocket{Path: filepath.Join(dir, "notify")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.Path, Net: "unixgram"})
	if err != nil {
		NotRun(t, "it needs unix datagram sockets: %v", err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		conn.Close()
		<-ended
		os.RemoveAll(dir)
	})
	go func() {
		defer close(ended)
		for buf := make([]byte, 4096); ; {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.told = append(s.told, strings.Split(strings.TrimSpace(string(buf[:n])), "\n")...)
			s.mu.Unlock()
		}
	}()
	return s
}

// Told are the lines that it was told, in order.
func (s *NotifySocket) Told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told)
}

// Count is how often a line was told that begins so.
func (s *NotifySocket) Count(prefix string) (n int) {
	for _, line := range s.Told() {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}
