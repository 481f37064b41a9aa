//go:build linux

package attack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/gossip"
	"agentctl/agent/link"
	"agentctl/handler/varint"
	"agentctl/scripts/testkit/proc"
)

// liar is a member with links that answers the questions of repair as it likes. It speaks
// as agents of November do, whom today's understand.
type liar struct {
	*serf.Serf
	links  *link.Links
	answer lie

	mu    sync.Mutex
	asked map[string]int // by whom, and how often
}

// lie answers a question of repair of this kind.
type lie func(ctx context.Context, kind byte) ([]byte, error)

// The kinds of questions that a liar answers.
const (
	compareKind = 1
	idsKind     = 3
	eventsKind  = 4
)

const (
	liarIncarnation = 0x1ce   // of its log
	far             = 1 << 62 // a number that no log comes to
)

// newLiar starts a liar, which ends with the test.
func (s *stand) newLiar(answer lie) (*liar, error) {
	discard := log.New(io.Discard, "", 0)
	conf, ml := serf.DefaultConfig(), memberlist.DefaultLANConfig()
	ml.Name, ml.LogOutput, ml.Logger = "liar", nil, discard
	ml.BindAddr, ml.BindPort = "127.0.0.1", 0
	inner, err := gossip.Listen(ml) // at a port that is free for streams and for packets
	if err != nil {
		return nil, err
	}
	l := &liar{answer: answer, asked: map[string]int{}}
	cfg := link.Config{
		Name: "liar", Transport: inner, Deliver: func(link.Peer, [][]byte) link.Ack { return link.Ack{} },
		Handlers: map[link.Kind]link.Handler{link.KindRepair: l.handle},
	}
	if key := s.key(); key != nil {
		if ml.Keyring, err = memberlist.NewKeyring(nil, key); err != nil {
			return nil, err
		}
		cfg.Keys = func() [][]byte { return [][]byte{key} }
	}
	if l.links, err = link.New(cfg); err != nil {
		return nil, err
	}
	ml.Transport = l.links.Transport()
	conf.NodeName, conf.Logger, conf.LogOutput, conf.MemberlistConfig = "liar", discard, nil, ml
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.links.Run(ctx) }()
	end := func() {
		cancel()
		<-done
	}
	// Links refuse everything, also a message to nobody, until Run has begun.
	err = await("the liar's links run", func() bool { return l.links.Broadcast(nil, []byte{0}) == nil })
	if err == nil {
		l.Serf, err = serf.Create(conf)
	}
	if err != nil {
		end()
		return nil, err
	}
	s.t.Cleanup(func() {
		l.Shutdown()
		end()
	})
	return l, nil
}

func (l *liar) handle(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
	if len(req) < 2 {
		return nil, errors.New("no request")
	}
	l.mu.Lock()
	l.asked[from.Name]++
	l.mu.Unlock()
	return l.answer(ctx, req[1])
}

// askedBy is how often an agent has asked.
func (l *liar) askedBy(n *proc.Node) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[n.Name]
}

// meet joins the victims and lets them know that it is a peer: agents of November learn it
// from a query, and today's from a handshake.
func (l *liar) meet(victims ...*proc.Node) error {
	for _, v := range victims {
		if _, err := l.Join([]string{v.Gossip}, true); err != nil {
			return err
		}
		if is, err := l.links.IsPeer(context.Background(), peer(v)); !is || err != nil {
			return fmt.Errorf("the liar has no link to %s: %w", v.Name, err)
		}
	}
	_, err := l.Query("agentctl-peer", nil, &serf.QueryParam{Timeout: time.Second})
	return err
}

func peer(n *proc.Node) link.Peer { return link.Peer{Name: n.Name, Addr: n.Gossip} }

// incarnation asks an agent which incarnation its log has, by a comparison of all.
func (l *liar) incarnation(of *proc.Node) (uint64, error) {
	e := varint.Encoder{1, compareKind}
	e.Uint(0) // from the first Lamport time on
	e.Uint(0) // the liar's age
	e.Fixed(0)
	e.Uint(0)
	e.Bool(false)
	e.Uint(0)
	b, err := l.links.Request(context.Background(), peer(of), link.KindRepair, e)
	if err != nil {
		return 0, err
	}
	d := varint.NewDecoder(b)
	if d.Byte() != 1 {
		return 0, fmt.Errorf("an answer of another version: %x", b)
	}
	incarnation := d.Fixed()
	return incarnation, d.Err()
}

// comparedAnswer is the answer to a comparison.
type comparedAnswer struct {
	trimmed, head, watermark uint64
	same, late               bool
	hearsay                  map[uint64]uint64 // watermarks by incarnation
}

func (c comparedAnswer) encode() []byte {
	e := beginAnswer(c.trimmed)
	e.Uint(c.head)
	e.Uint(0) // the highest Lamport time
	e.Uint(c.watermark)
	e.Bool(c.same)
	e.Uint(0) // the digest of nothing
	e.Bool(c.late)
	e.Uint(far) // its age
	e.Uint(uint64(len(c.hearsay)))
	for of, seq := range c.hearsay {
		e.Fixed(of)
		e.Uint(seq)
	}
	return e
}

func beginAnswer(trimmed uint64) varint.Encoder {
	e := varint.Encoder{1}
	e.Fixed(liarIncarnation)
	e.Uint(trimmed)
	return e
}

// endlessPage is a page of one ID, with more behind it.
func endlessPage() []byte {
	e := beginAnswer(0)
	e.Bool(true)
	e.Uint(1)
	e.Uint(1)                             // Lamport time
	e.Uint(uint64(time.Now().UnixNano())) // number, higher than the last
	e.Text("1-0123456789abcdef")
	return e
}

// goneEvent says that an event is not held any more.
func goneEvent() []byte {
	e := beginAnswer(0)
	e.Uint(1)
	e.Uint(0)
	return e
}
