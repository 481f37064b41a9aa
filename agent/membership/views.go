package membership

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"agentctl/agent/link"
	"agentctl/agent/logs"
	"agentctl/agent/peers"
	"agentctl/handler/varint"
)

const (
	// viewsEvery is how often some peers are asked whom they see alive, on average. It
	// is longer than gossip takes to bring a change to all.
	viewsEvery = 30 * time.Second
	// viewsPeers is how many peers are asked in a small cluster, drawn anew each time. In a
	// large one it is one: some node finds a difference soon.
	viewsPeers = 3
	// viewsPause is how many times longer the pauses are in a large cluster, where one peer
	// is asked. viewsFar is of how many such questions one goes to a peer that is not near.
	viewsPause, viewsFar = 3, 4
	// viewsTime bounds the wait for their answers.
	viewsTime = 5 * time.Second
	// viewVersion begins a question and an answer. A later one may append.
	viewVersion = 1
)

// view is whom a node sees alive: how many members, and a hash of their names.
type view struct {
	alive  uint64
	digest [8]byte
}

func viewOf(members []serf.Member) view {
	h := sha256.New()
	v := view{}
	for _, name := range peers.AliveNames(members) {
		v.alive++
		h.Write(append([]byte(name), 0))
	}
	copy(v.digest[:], h.Sum(nil))
	return v
}

func (v view) encode() []byte {
	e := varint.Encoder{viewVersion}
	e.Uint(v.alive)
	e.Raw(v.digest[:])
	return e
}

func decodeView(b []byte) (v view, err error) {
	d := varint.NewDecoder(b)
	if d.Byte() != viewVersion {
		return v, errors.New("an answer of another version")
	}
	v.alive = d.Uint()
	copy(v.digest[:], d.Take(len(v.digest)))
	if d.Err() != nil {
		return view{}, errors.New("an answer that is cut short")
	}
	return v, nil
}

// ViewsConfig is what [NewViews] needs.
type ViewsConfig struct {
	Members func() []serf.Member // all of serf's
	Peers   func() []string      // that are known, in random order
	// Near are those of them to which links are kept. If there are any, the cluster counts
	// as large. It may be nil.
	Near func() []string
	// Ask brings a request to a member and returns its answer, which is one of
	// [Views.Answer].
	Ask     func(ctx context.Context, name string, req []byte) ([]byte, error)
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil counts nothing
}

// Views asks peers whom they see alive, and counts those that see others than this
// node does. Serf has nothing of the kind: halves of a cluster that see each other in
// part do not heal, and nobody is told. Stock members cannot be asked.
type Views struct {
	cfg     ViewsConfig
	sampled logs.Sampled
	rounds  int // of Run, with near peers

	asked, differ prometheus.Gauge
}

// NewViews registers its metrics.
func NewViews(cfg ViewsConfig) *Views {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "agentctl_members_" + name, Help: help})
		if cfg.Metrics != nil {
			cfg.Metrics.MustRegister(g)
		}
		return g
	}
	return &Views{
		cfg: cfg, sampled: logs.Sampled{Logger: cfg.Logger},
		asked:  gauge("asked", "Peers that said in the last round which members they see alive."),
		differ: gauge("differing", "Peers that, in the last round, saw other members alive than this node does."),
	}
}

// Answer tells a peer whom this node sees alive. Every question gets the same answer.
func (v *Views) Answer(context.Context, link.Peer, []byte) ([]byte, error) {
	return viewOf(v.cfg.Members()).encode(), nil
}

// Run asks until ctx ends.
func (v *Views) Run(ctx context.Context) error {
	for {
		every := viewsEvery
		if len(v.near()) > 0 {
			every *= viewsPause
		}
		select {
		case <-time.After(every/2 + rand.N(every)):
			v.round(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

func (v *Views) near() []string {
	if v.cfg.Near == nil {
		return nil
	}
	return v.cfg.Near()
}

// draw gives the peers to ask now.
func (v *Views) draw() []string {
	all, near := v.cfg.Peers(), v.near()
	if len(near) == 0 {
		return all[:min(len(all), viewsPeers)]
	}
	if v.rounds++; v.rounds%viewsFar == 0 {
		return all[:min(len(all), 1)]
	}
	return []string{near[rand.IntN(len(near))]}
}

// round asks some peers, and counts those that see others.
func (v *Views) round(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, viewsTime)
	defer cancel()
	var mu sync.Mutex
	asked, seen := 0, uint64(0)
	var differing []string // whom they see, by name
	var asking errgroup.Group
	for _, name := range v.draw() {
		asking.Go(func() error {
			answer, err := v.cfg.Ask(ctx, name, []byte{viewVersion})
			if err != nil {
				return nil // it is gone, or too old for the question
			}
			theirs, err := decodeView(answer)
			if err != nil {
				return nil
			}
			ours := viewOf(v.cfg.Members()) // as of now: the answer is
			mu.Lock()
			defer mu.Unlock()
			asked++
			if theirs != ours {
				differing = append(differing, fmt.Sprintf("%s: %d", name, theirs.alive))
				seen = ours.alive
			}
			return nil
		})
	}
	asking.Wait() // nobody returns an error
	if len(differing) > 0 {
		slices.Sort(differing)
		v.sampled.Log(slog.LevelWarn, "a peer sees other members alive than this node does", 10*time.Minute,
			"peers_see", strings.Join(differing, ", "), "this_node_sees", seen)
	}
	v.asked.Set(float64(asked))
	v.differ.Set(float64(len(differing)))
}
