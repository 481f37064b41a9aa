package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/files"
	"agentctl/agent/large"
	"agentctl/agent/link"
	"agentctl/agent/repair"
	"agentctl/handler"
)

const (
	// repairFile, in the data directory, is what repair knows of others' journals.
	repairFile = "repair.state"
	// repairPeers is how many peers a node that publishes nothing gets to know,
	// to compare its journal with: in a large cluster not all ask all.
	repairPeers = 8
	// smallCluster is how many members there are at most where each asks all
	// others who is a peer, and at once.
	smallCluster = repairPeers + 1
	// repairStagger, for each member, is how long at most a node of a cluster that
	// is not small waits before it asks who is a peer, and before it asks again:
	// where many start at once, those who wait get to know the few that have asked,
	// and need not ask. All together ask five times a second
	// at most; gossip brings each question to everyone some 12 times and has room
	// for twice as many. A new node has missed nothing yet that it could want.
	repairStagger = 400 * time.Millisecond
	// newcomersStagger is the same for who sees others join. It is shorter, since
	// they may be the other half of a cluster, and what that has is missed here.
	newcomersStagger = 50 * time.Millisecond
	// repairJoin is how long, among others, a join that was asked for is waited
	// for.
	repairJoin = 5 * time.Second
	// repairSave bounds the wait for a disk that fails: what was compared is
	// kept the next time, and compared again after a crash in between.
	repairSave = 10 * time.Second
)

// openRepair makes what compares this node's journal with those of its peers.
func (a *Agent) openRepair(ctx context.Context) error {
	cfg := repair.Config{
		Store:   a.journal,
		Peers:   a.repairPeers,
		Ask:     a.askPeer(link.KindRepair),
		Take:    a.takeRepaired,
		Skip:    func(name string) bool { return name == large.EventName },
		Gap:     func(reason string) error { return a.journal.Gap(0, reason) },
		Clock:   a.eventClock,
		Logger:  a.logger,
		Metrics: a.registry,
	}
	if a.disk != nil {
		path := filepath.Join(a.opts.DataDir, repairFile)
		state, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("repair: %w", err)
		}
		cfg.State = state
		cfg.Save = func(ctx context.Context, state []byte) error {
			ctx, cancel := context.WithTimeout(ctx, repairSave)
			defer cancel()
			if err := a.disk.Sync(ctx); err != nil {
				return err
			}
			return files.Replace(path, state)
		}
	}
	var err error
	if a.repair, err = repair.New(ctx, cfg); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(a.opts.DataDir, repairFile), err)
	}
	return nil
}

// runRepair compares once this node has joined and met another: a new node
// takes the cluster's clock at that time for its own beginning.
func (a *Agent) runRepair(ctx context.Context) error {
	poll := time.NewTicker(revisePoll)
	defer poll.Stop()
	for a.serf.NumNodes() < 2 {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return nil
		}
	}
	// Whoever has met others by its snapshot, or was joined by them, has what to
	// compare, even while what it is to join does not answer.
	select {
	case <-a.joined:
	case <-time.After(repairJoin):
	case <-ctx.Done():
		return nil
	}
	from := time.Now()
	if !a.returning {
		from = from.Add(stagger(a.serf.NumNodes(), repairStagger))
	}
	a.askFrom.Store(from.UnixNano())
	return a.repair.Run(ctx)
}

// mayAsk tells whether repair looks for peers by now.
func (a *Agent) mayAsk() bool {
	from := a.askFrom.Load()
	return from != 0 && time.Now().UnixNano() >= from
}

// met has some of those that have joined asked whether they are peers, and a
// round begin. While nobody is looked for yet, all are still to be met.
func (a *Agent) met(joined []serf.Member) {
	if a.mayAsk() {
		var names []string
		for _, m := range joined {
			if m.Name != a.opts.NodeName {
				names = append(names, m.Name)
			}
		}
		a.newcomers.add(names)
	}
	a.repair.Kick("members joined")
}

// knownPeers are the members alive that are known to be peers, in random order,
// and those of which that is not known.
func (a *Agent) knownPeers() (names, strangers []string) {
	members := a.serf.Members()
	rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	for _, m := range members {
		switch {
		case m.Status != serf.StatusAlive || m.Name == a.opts.NodeName:
		case a.peers.knows(m.Name):
			names = append(names, m.Name)
		default:
			strangers = append(strangers, m.Name)
		}
	}
	return names, strangers
}

// repairPeers are the peers that are known, and sees to it that there are some.
func (a *Agent) repairPeers() []string {
	names, strangers := a.knownPeers()
	ask := min(len(strangers), repairPeers-len(names))
	if now, next := time.Now(), a.askNext.Load(); ask > 0 && a.mayAsk() && now.UnixNano() >= next {
		again := now.Add(stagger(len(names)+len(strangers), repairStagger))
		if a.askNext.CompareAndSwap(next, again.UnixNano()) {
			a.peers.look(strangers[:ask])
		}
	}
	return names
}

// stagger is for how long a node waits before it asks who is a peer, in a cluster
// of this size: up to a time for each member.
func stagger(size int, each time.Duration) time.Duration {
	if size <= smallCluster {
		return 0
	}
	return rand.N(time.Duration(size) * each)
}

// askPeer brings requests of a kind to members.
func (a *Agent) askPeer(kind link.Kind) func(context.Context, string, []byte) ([]byte, error) {
	return func(ctx context.Context, name string, req []byte) ([]byte, error) {
		for _, m := range a.serf.Members() {
			if m.Name == name {
				return a.links.Request(ctx, peerOf(m), kind, req)
			}
		}
		return nil, fmt.Errorf("%s is not a member any more", name)
	}
}

// takeRepaired takes in events that a peer had, and waits until they are in the
// journal. Serf is not told: it would pass on to all what this node lacked. But
// its clock is set behind them: what is published here next, with a payload as
// one of them has, must not have its Lamport time too, or it would be taken for a
// copy of it.
func (a *Agent) takeRepaired(ctx context.Context, events []handler.Event) error {
	newest := uint64(0)
	for i := range events {
		newest = max(newest, events[i].LTime)
	}
	if newest >= a.eventClock() {
		if err := a.witness(newest); err != nil {
			return err
		}
	}
	for _, e := range events {
		u := serf.UserEvent{LTime: serf.LamportTime(e.LTime), Name: e.Name, Payload: e.Payload}
		if err := a.intake.Take(ctx, u, byRepair); err != nil {
			return err
		}
	}
	return a.intake.Settle(ctx)
}

// eventClock is the Lamport time that the next event gets.
func (a *Agent) eventClock() uint64 {
	clock, err := strconv.ParseUint(a.serf.Stats()["event_time"], 10, 64)
	if err != nil {
		panic(fmt.Sprintf("serf's event clock: %v", err)) // serf writes it from a number
	}
	return clock
}
