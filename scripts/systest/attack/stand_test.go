//go:build linux

package attack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"agentctl/rpcclient"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// stand is a cluster of two honest nodes: events are published at the one, and the other
// carries them to a gateway. A trial attacks either, or both.
type stand struct {
	t       *testing.T
	trial   trial
	program program
	ctx     context.Context // ends with the attack
	dir     string

	args    []string     // further flags of both agents; prepare may add to them
	targets []string     // further targets of the receiver as JSON; prepare may add to them
	answer  http.Handler // what the gateway answers to what is no honest event; 200, unless prepare says otherwise
	gateway *httptest.Server

	publisher, receiver *proc.Node
	holding             sync.WaitGroup

	mu        sync.Mutex
	sent      map[string]time.Time // when honest events were published, by payload
	took      map[string]time.Duration
	posts     []post // all that is no honest event
	failed    int    // events that the publisher did not take
	lastError error
	health    time.Duration
	unhealthy error    // of the first probe that failed
	bites     []string // what the attack has achieved, as far as it knows itself
	peak      int      // KiB
	log0      int
}

// post is a request to the gateway.
type post struct {
	path, name, body string
}

const (
	honest     = "counted"        // the name of the events that are counted
	ownGateway = "/the-publisher" // where the publisher posts, which counts nothing
	flushPath  = "/flush"
)

// newStand starts the two agents, which have met and have carried an event when it returns.
func newStand(t *testing.T, p program, tr trial) *stand {
	t.Helper()
	s := &stand{t: t, trial: tr, program: p, ctx: t.Context(), dir: t.TempDir(),
		sent: map[string]time.Time{}, took: map[string]time.Duration{}}
	s.gateway = testkit.Serve(t, s.take)
	if tr.keyed {
		s.args = append(s.args, "-encrypt="+proc.FirstKey)
	}
	if tr.prepare != nil {
		tr.prepare(s)
	}
	targets := append([]string{fmt.Sprintf(`{"name": "honest", "url": %q, "events": "user:%s", "flush": {"url": %q}}`, s.gateway.URL, honest, s.gateway.URL+flushPath)}, s.targets...)
	s.publisher = s.start("publisher", "-data-dir="+s.path("publisher"), "-event-handler=user="+s.gateway.URL+ownGateway)
	s.receiver = s.start("receiver", "-data-dir="+s.path("receiver"), "-join="+s.publisher.Gossip,
		"-config-file="+s.config("targets", fmt.Sprintf(`{"targets": [%s]}`, strings.Join(targets, ", "))))
	testkit.WaitFor(t, "the two nodes have met", func() bool { return s.alive(s.publisher) == 2 && s.alive(s.receiver) == 2 })
	testkit.WaitFor(t, "the first event is taken", func() bool { return s.publish("first") })
	testkit.WaitFor(t, "the first event is at the gateway", func() bool { return s.missing() == 0 })
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sent)
	clear(s.took)
	s.failed = 0
	s.log0 = s.logSize()
	return s
}

// path is that of a file of the stand.
func (s *stand) path(name string) string { return filepath.Join(s.dir, name) }

// config writes a file of settings, and returns its path.
func (s *stand) config(name, text string) string {
	file := s.path(name + ".json")
	testkit.WriteTo(s.t, file, text)
	return file
}

// start starts a further agent of the program under test with the stand's flags. It is
// killed at the end.
func (s *stand) start(name string, args ...string) *proc.Node {
	s.t.Helper()
	n, err := s.tryStart(name, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *stand) tryStart(name string, args ...string) (*proc.Node, error) {
	s.t.Helper()
	args = slices.Concat([]string{"-config-file=" + s.config(name, fmt.Sprintf(`{"rpc_auth": %q}`, victimKey))}, s.args, args)
	n, err := proc.StartProgram(s.dir, s.program.path, name, os.Environ(), args...)
	if n != nil {
		s.t.Cleanup(func() {
			n.Kill()
			if s.t.Failed() {
				s.t.Logf("%s printed:\n%s", name, proc.Tail(n.Printed(), 4<<10))
			}
		})
	}
	return n, err
}

// hold runs a part of the attack that lasts until s.ctx ends.
func (s *stand) hold(f func()) { s.holding.Go(f) }

// client connects to an agent with the key of RPC.
func (s *stand) client(ctx context.Context, n *proc.Node) (*rpcclient.Client, error) {
	return rpcclient.Dial(ctx, rpcclient.Config{Addr: n.RPC, AuthKey: victimKey})
}

// alive is how many members a node sees alive, 0 if it does not say.
func (s *stand) alive(n *proc.Node) (alive int) {
	c, err := s.client(s.t.Context(), n)
	if err != nil {
		return 0
	}
	defer c.Close()
	all, err := c.Members(s.t.Context())
	if err != nil {
		return 0
	}
	for _, m := range all {
		if m.Status == "alive" {
			alive++
		}
	}
	return alive
}

// event publishes an event that is none of the honest ones.
func (s *stand) event(n *proc.Node, name string, payload []byte) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), testkit.Patience)
	defer cancel()
	c, err := s.client(ctx, n)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Event(ctx, name, payload, false)
}

// publish publishes an honest event over a connection of its own, as a program does that
// publishes one, and tells whether it was taken. It tries for five seconds to get that
// connection.
func (s *stand) publish(payload string) bool {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	began := time.Now()
	s.mu.Lock()
	s.sent[payload] = began
	s.mu.Unlock()
	c, err := s.client(ctx, s.publisher)
	for err != nil && testkit.Pause(ctx, 20*time.Millisecond) {
		c, err = s.client(ctx, s.publisher)
	}
	if err == nil {
		err = c.Event(ctx, honest, []byte(payload), false)
		c.Close()
	}
	if err != nil {
		s.mu.Lock()
		delete(s.sent, payload)
		delete(s.took, payload) // it may have come all the same
		s.failed, s.lastError = s.failed+1, err
		s.mu.Unlock()
	}
	return err == nil
}

// publishUntil publishes events at a steady rate until the attack is done, and so many at
// least. It gives up on a publisher that takes none.
func (s *stand) publishUntil(ctx context.Context, least int, done <-chan struct{}) {
	const inRow = 3
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i, refused := 0, 0; ; i++ {
		select {
		case <-done:
			if i >= least || refused >= inRow {
				return
			}
		case <-ctx.Done():
			return
		default:
		}
		if refused < inRow {
			if s.publish(strconv.Itoa(i)) {
				refused = 0
			} else {
				refused++
			}
		}
		<-tick.C
	}
}

// take is the honest gateway.
func (s *stand) take(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	if r.URL.Path == ownGateway {
		return
	}
	body, _ := io.ReadAll(r.Body)
	name := r.Header.Get("X-Serf-Event-Name")
	s.mu.Lock()
	if began, ok := s.sent[string(body)]; ok && name == honest {
		if _, again := s.took[string(body)]; !again {
			s.took[string(body)] = now.Sub(began)
		}
		s.mu.Unlock()
		return
	}
	if name != honest {
		s.posts = append(s.posts, post{r.URL.Path, name, string(body)})
	}
	s.mu.Unlock()
	if s.answer != nil && name != honest {
		s.answer.ServeHTTP(w, r)
	}
}

// posted are the requests to the gateway that are no honest events.
func (s *stand) posted() []post {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.posts)
}

// flushes is how often the gateway was asked to flush.
func (s *stand) flushes() (n int) {
	for _, p := range s.posted() {
		if p.path == flushPath {
			n++
		}
	}
	return n
}

// missing is how many honest events have not come to the gateway.
func (s *stand) missing() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent) - len(s.took)
}

func (s *stand) nodes() []*proc.Node { return []*proc.Node{s.publisher, s.receiver} }

func (s *stand) ended() bool {
	return slices.ContainsFunc(s.nodes(), func(n *proc.Node) bool { return n.Ended() })
}

// logSize is what both agents have printed, in bytes.
func (s *stand) logSize() (n int) {
	for _, node := range s.nodes() {
		for _, file := range []string{node.Out, node.Err} {
			if info, err := os.Stat(file); err == nil {
				n += int(info.Size())
			}
		}
	}
	return n
}

// watch probes both agents, and looks at their memory, until ctx ends. It closes probed
// once both were probed while the attack was under way.
func (s *stand) watch(ctx context.Context, attacked <-chan struct{}, probed chan<- struct{}) {
	told := sync.OnceFunc(func() { close(probed) })
	for ctx.Err() == nil {
		underWay := false
		select {
		case <-attacked:
			underWay = true
		default:
		}
		for _, n := range s.nodes() {
			began := time.Now()
			err := probe(ctx, n.HTTP, "/healthz")
			took := time.Since(began)
			if err == nil {
				err = probe(ctx, n.HTTP, "/readyz")
			}
			s.mu.Lock()
			s.health = max(s.health, took)
			if err != nil && s.unhealthy == nil {
				s.unhealthy = err
			}
			s.mu.Unlock()
		}
		s.lookAtMemory()
		if underWay {
			told()
		}
		testkit.Pause(ctx, 50*time.Millisecond)
	}
}

func (s *stand) lookAtMemory() {
	for _, n := range s.nodes() {
		kb := peakMemory(n)
		s.mu.Lock()
		s.peak = max(s.peak, kb)
		s.mu.Unlock()
	}
}

// probe asks as the container's health check does, only at shorter intervals: each time
// for 5 s, and only three failures in a row count. It does not ask again once ctx has
// ended.
func probe(ctx context.Context, addr, path string) (err error) {
	for range 3 {
		client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		resp, failed := client.Get("http://" + addr + path)
		if failed == nil {
			_, failed = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK && failed == nil {
				return nil
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if failed != nil {
			err = fmt.Errorf("no answer from %s", path)
		} else {
			err = fmt.Errorf("%s says %d", path, resp.StatusCode)
		}
		testkit.Pause(ctx, 2*time.Second)
	}
	return err
}

var peakLine = regexp.MustCompile(`VmHWM:\s*(\d+) kB`)

// peakMemory is the most memory that an agent has had, in KiB, and 0 of one that has ended.
func peakMemory(n *proc.Node) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.Cmd.Process.Pid))
	m := peakLine.FindSubmatch(status)
	if m == nil {
		return 0
	}
	kb, _ := strconv.Atoi(string(m[1]))
	return kb
}

// bite notes what the attack has achieved.
func (s *stand) bite(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bites = append(s.bites, fmt.Sprintf(format, args...))
}

// judge waits for the events that are under way, and says what the attack achieved.
func (s *stand) judge() *result {
	lost := testkit.Settle(func() int {
		if s.ended() {
			return 0
		}
		return s.missing()
	})
	if lost == 0 {
		lost = s.missing() // those of an agent that has ended
	}
	s.lookAtMemory()
	s.mu.Lock()
	bites := s.bites
	s.mu.Unlock()
	bite := func(format string, args ...any) { bites = append(bites, fmt.Sprintf(format, args...)) }
	r := &result{survived: true, lost: lost, flushes: s.flushes(), logged: s.logSize() - s.log0}
	for _, n := range s.nodes() {
		if n.Ended() {
			r.survived = false
			bite("the %s has ended", n.Name)
		}
		if bug := n.Bug(); bug != "" {
			r.survived = false
			bite("the %s printed %q", n.Name, bug)
		}
	}
	if s.trial.bit != nil && r.survived {
		if b := s.trial.bit(s); b != "" {
			bites = append(bites, b)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.peak, r.health, r.published, r.publishingFailed = s.peak>>10, s.health, len(s.sent), s.failed
	const logLimit = 64 << 10
	most := s.trial.most
	if most == 0 {
		most = 256
	}
	switch {
	case r.lost > 0:
		bite("%d of %d events lost", r.lost, r.published)
	case r.published == 0:
		bite("no event was taken")
	}
	if r.survived { // otherwise it follows
		if r.publishingFailed > 0 {
			bite("%d events not taken", r.publishingFailed)
			s.t.Logf("the last event that was not taken: %v", s.lastError)
		}
		if s.unhealthy != nil {
			bite("%v", s.unhealthy)
		}
	}
	if r.peak > most {
		bite("memory of %d MiB", r.peak)
	}
	if r.logged > logLimit {
		bite("log of %d KiB", r.logged>>10)
	}
	took := make([]time.Duration, 0, len(s.took))
	for _, d := range s.took {
		took = append(took, d)
	}
	slices.Sort(took)
	if n := len(took); n > 0 {
		r.p50, r.p99 = took[n/2], took[n*99/100]
	}
	r.bite = strings.Join(bites, ", ")
	return r
}
