package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/files"
	"agentctl/agent/intake"
	"agentctl/agent/large"
	"agentctl/agent/link"
	"agentctl/agent/peers"
	"agentctl/agent/repair"
	"agentctl/handler"
)

const (
	// repairFile, in the data directory, is what repair knows of others' journals.
	repairFile = "repair.state"
	// recordFile is what repair knows of this node's journal, and of what that let go of.
	recordFile = "repair.record"
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
		Peers:   a.peers.Find,
		Near:    a.near,
		Ask:     a.askPeer(link.KindRepair),
		Take:    a.takeRepaired,
		Skip:    a.unwanted,
		Gap:     func(reason string) error { return a.journal.Gap(0, reason) },
		Clock:   func() uint64 { return a.serf.EventClock() },
		Logger:  a.logger,
		Metrics: a.hooks.Metrics,
	}
	if a.disk != nil {
		var err error
		if cfg.State, cfg.Save, err = a.keptByRepair(repairFile); err != nil {
			return err
		}
		if cfg.Record, cfg.SaveRecord, err = a.keptByRepair(recordFile); err != nil {
			return err
		}
	}
	var err error
	if a.repair, err = repair.New(ctx, cfg); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(a.opts.DataDir, repairFile), err)
	}
	return nil
}

// near are the agents to which this node keeps links in a large cluster.
func (a *Agent) near() []string { return a.publisher.broadcast.Near() }

// keptByRepair reads a file of the data directory, and returns what writes it: after all
// that the journal was given before is on the disk.
func (a *Agent) keptByRepair(file string) (kept []byte, save func(context.Context, []byte) error, err error) {
	path := filepath.Join(a.opts.DataDir, file)
	if kept, err = files.ReadOwn(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("repair: %w", err)
	}
	return kept, func(ctx context.Context, data []byte) error {
		ctx, cancel := context.WithTimeout(ctx, repairSave)
		defer cancel()
		if err := a.disk.Sync(ctx); err != nil {
			return err
		}
		return files.Replace(path, data)
	}, nil
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
	case <-a.Joined():
	case <-time.After(repairJoin):
	case <-ctx.Done():
		return nil
	}
	a.peers.Begin(!a.past.returning)
	return a.repair.Run(ctx)
}

// met has some of those that have joined asked whether they are peers, and a
// round begin.
func (a *Agent) met(joined []serf.Member) {
	a.peers.Joined(joined)
	a.repair.Kick("members joined")
}

// foundPeer has this node compare its journal with that of a peer as soon as it is
// known to be one.
func (a *Agent) foundPeer(name string) {
	if a.repair != nil {
		a.repair.Meet(name, "a peer was found")
	}
}

// ping sends a packet to a member, and waits for the answer.
func (a *Agent) ping(name string, addr net.Addr) (time.Duration, error) {
	return a.serf.Memberlist().Ping(name, addr)
}

// shake asks a member over TCP whether it is a peer. If it says anything, a stream got
// through to it.
func (a *Agent) shake(ctx context.Context, m link.Peer) (bool, error) {
	peer, err := a.links.IsPeer(ctx, m)
	if err == nil {
		a.members.packets.Connected(m.Name)
	}
	return peer, err
}

// askPeer brings requests of a kind to members.
func (a *Agent) askPeer(kind link.Kind) func(context.Context, string, []byte) ([]byte, error) {
	return func(ctx context.Context, name string, req []byte) ([]byte, error) {
		m, ok := a.serf.Alive(name)
		if !ok {
			if m, ok = a.member(name); !ok {
				return nil, fmt.Errorf("%s is not a member any more", name)
			}
		}
		answer, err := a.links.Request(ctx, peers.Of(m), kind, req)
		if err == nil {
			a.members.packets.Connected(name)
		}
		return answer, err
	}
}

// member is a member that serf lists, alive or not.
func (a *Agent) member(name string) (serf.Member, bool) {
	for _, m := range a.serf.Members() {
		if m.Name == name {
			return m, true
		}
	}
	return serf.Member{}, false
}

// unwanted tells of events of peers that the journal is not to have.
func (a *Agent) unwanted(e *handler.Event) bool {
	if far := !a.serf.Takes(e.LTime); far {
		a.times.far.by("repair")(e.LTime)
		return true
	}
	return e.Name == large.EventName
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
	if newest >= a.serf.EventClock() {
		a.serf.Witness(newest)
	}
	users := make([]serf.UserEvent, len(events))
	for i, e := range events {
		users[i] = serf.UserEvent{LTime: serf.LamportTime(e.LTime), Name: e.Name, Payload: e.Payload}
	}
	if err := a.intake.Take(ctx, intake.Repair, users...); err != nil {
		return err
	}
	return a.intake.Settle(ctx)
}
