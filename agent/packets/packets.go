package packets

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"
	"golang.org/x/sync/errgroup"
)

const (
	// answerTime is for how long an answer to a ping is awaited: longer than the way
	// around the world and back takes. Two pings take less than the time for which a
	// publisher waits for a member to say that it is a peer.
	answerTime = 800 * time.Millisecond
	// interval is the time between two rounds of pings to members that are silent.
	interval = 2 * time.Second
	// checkEvery is how many rounds come to one in which a member is pinged that nobody
	// suspects. Memberlist says nothing of one that others reach by packets.
	checkEvery = 5
	// atOnce is how many members a round pings, and all of them at the same time.
	atOnce = 8
	// doubted is after how many pings without an answer packets are said not to pass,
	// which costs a handshake over TCP. closed is after how many a member is named.
	// Where one packet in ten is lost, 19 in 100 pings fail, and 2 in 10,000 of five
	// in a row do.
	doubted, closed = 2, 5
	// maxSuspects is how many names wait for Run.
	maxSuspects = 64
	// logInterval is the least time between two lines of the log.
	logInterval = time.Minute
)

// Config is what a [Watch] is made of. All of it is needed.
type Config struct {
	Self    string               // this node's name
	Members func() []serf.Member // all of serf's, in any state, in a slice of the caller's
	// Ping sends a packet to a member and waits for the answer, as memberlist does.
	Ping   func(name string, addr net.Addr) (time.Duration, error)
	Logger *slog.Logger
}

// Watch knows to which members packets do not pass. Its methods are safe for
// concurrent use.
type Watch struct {
	cfg      Config
	suspects chan string

	mu     sync.Mutex
	silent map[string]*silence // by name, of members that do not answer pings
}

// silence is what is known of a member since it last answered a ping.
type silence struct {
	failed    int  // pings in a row that were not answered
	connected bool // a stream got through meanwhile
	port      uint16
}

// New returns a Watch that knows nothing yet. Pings are sent by [Watch.Run] and
// [Watch.Pass] only.
func New(c Config) *Watch {
	return &Watch{cfg: c, suspects: make(chan string, maxSuspects), silent: map[string]*silence{}}
}

// Suspect has a member pinged, as memberlist reached it by a stream and not by packets.
func (w *Watch) Suspect(name string) {
	select {
	case w.suspects <- name:
	default: // memberlist repeats it
	}
}

// Connected notes that a stream to a member got through.
func (w *Watch) Connected(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.silent[name]; s != nil {
		s.connected = true
	}
}

// Pass tells whether packets get to a member and back. It sends pings, unless the
// member is known not to answer any. It takes 2 s at most, and is true for a name that
// no member has that is alive.
func (w *Watch) Pass(ctx context.Context, name string) bool {
	for ctx.Err() == nil {
		if w.Silent(name) {
			return false
		}
		alive := w.alive()
		i := slices.IndexFunc(alive, func(m serf.Member) bool { return m.Name == name })
		if i < 0 || w.ping(ctx, &alive[i]) {
			return true
		}
	}
	return true
}

// Silent tells whether a member has not answered the last two pings or more. It asks
// nobody.
func (w *Watch) Silent(name string) bool { return w.failures(name) >= doubted }

func (w *Watch) failures(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.silent[name]; s != nil {
		return s.failed
	}
	return 0
}

// alive are the other members that are. A map of them would cost more than all else here,
// in a large cluster.
func (w *Watch) alive() []serf.Member {
	return slices.DeleteFunc(w.cfg.Members(), func(m serf.Member) bool {
		return m.Status != serf.StatusAlive || m.Name == w.cfg.Self
	})
}

// ping sends one ping to a member, and notes what comes of it.
func (w *Watch) ping(ctx context.Context, m *serf.Member) (answered bool) {
	result := make(chan error, 1)
	go func() {
		_, err := w.cfg.Ping(m.Name, &net.UDPAddr{IP: m.Addr, Port: int(m.Port)})
		result <- err
	}()
	late := time.NewTimer(answerTime)
	defer late.Stop()
	select {
	case err := <-result:
		answered = err == nil
	case <-late.C:
	case <-ctx.Done():
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if answered {
		delete(w.silent, m.Name)
		return true
	}
	s := w.silent[m.Name]
	if s == nil {
		s = &silence{}
		w.silent[m.Name] = s
	}
	s.failed++
	s.port = m.Port
	return false
}

// Run pings members that are suspected or silent until ctx ends, and then returns nil.
func (w *Watch) Run(ctx context.Context) error {
	round := time.NewTicker(interval)
	defer round.Stop()
	var logged time.Time // of the last warning; zero while there is none
	last := ""           // the member that was checked last
	for rounds := 1; ; {
		select {
		case <-ctx.Done():
			return nil
		case name := <-w.suspects:
			if w.failures(name) == 0 {
				w.round(ctx, []string{name})
			}
			w.Connected(name)
		case <-round.C:
			names := w.due()
			if rounds++; rounds%checkEvery == 0 {
				last = w.another(last)
				names = append(names, last)
			}
			w.round(ctx, names)
			logged = w.log(logged)
		}
	}
}

// due are the members to ping in a round. Those that are not alive any more are
// forgotten: they have failed, or they left.
func (w *Watch) due() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.silent) == 0 {
		return nil
	}
	silent := map[string]*silence{}
	for _, m := range w.alive() {
		if s := w.silent[m.Name]; s != nil {
			silent[m.Name] = s
		}
	}
	w.silent = silent
	names := slices.Collect(maps.Keys(silent))
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:min(len(names), atOnce)]
}

// another is a member that has answered so far, the one behind last by name; "" if there
// is none.
func (w *Watch) another(last string) string {
	alive := w.alive()
	w.mu.Lock()
	defer w.mu.Unlock()
	first, next := "", ""
	for _, m := range alive {
		if w.silent[m.Name] != nil {
			continue
		}
		if first == "" || m.Name < first {
			first = m.Name
		}
		if m.Name > last && (next == "" || m.Name < next) {
			next = m.Name
		}
	}
	return cmp.Or(next, first)
}

// round pings members once.
func (w *Watch) round(ctx context.Context, names []string) {
	if len(names) == 0 {
		return
	}
	var pings errgroup.Group
	for _, m := range w.alive() {
		if slices.Contains(names, m.Name) {
			pings.Go(func() error {
				w.ping(ctx, &m)
				return nil
			})
		}
	}
	pings.Wait() // no ping returns an error
}
