package logs

import (
	"io"
	"strings"
	"sync"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// output collects what a hub writes.
type output struct{ testkit.LogBuffer }

func (o *output) lines() []string {
	s := strings.TrimSuffix(o.String(), "\n")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// stuck is an output that takes nothing until it is opened.
type stuck struct {
	output
	began chan struct{} // receives once the first write has begun
	open  chan struct{}
	once  sync.Once
}

func newStuck() *stuck {
	return &stuck{began: make(chan struct{}), open: make(chan struct{})}
}

func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.began) })
	<-s.open
	return s.output.Write(p)
}

// newHub returns a hub that is closed at the end of the test.
func newHub(t *testing.T, cfg Config) *Hub {
	t.Helper()
	if cfg.Out == nil {
		cfg.Out = io.Discard
	}
	h := New(cfg)
	t.Cleanup(h.Close)
	return h
}
