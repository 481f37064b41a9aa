package gossip

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/serf/serf"
)

const (
	// denyWait is how long a member has to deny that it leaves.
	denyWait = time.Second
	denyPoll = 10 * time.Millisecond
	// knowTries is how often a member is dialed that may not know this node. Once an
	// agentctl agent was dialed it knows the node. One try more is for the full sync of
	// another member, which can come at the same time.
	knowTries = 3
)

// ForceLeave declares that a member has left, and with prune it is forgotten. If the
// member is alive and says so, it stays a member, also with prune. Then denied is true.
// It waits for the member's answer, for a second at most.
func (n *Node) ForceLeave(name string, prune bool) (denied bool, err error) {
	if _, alive := n.presence.node(name); alive && name != n.denier.self {
		if err := n.RemoveFailedNode(name); err != nil {
			return false, err
		}
		if n.ask(name); len(n.leaving([]string{name})) == 0 {
			return true, nil
		}
		if !prune {
			return false, nil
		}
	}
	if prune {
		return false, n.RemoveFailedNodePrune(name)
	}
	return false, n.RemoveFailedNode(name)
}

// Mend brings back members that are alive, and that serf lists as leaving or not at
// all. Somebody forced them to leave. It also dials members that may not list this node:
// an agentctl agent then takes it back. The error says which of them do not list it all
// the same, and what to do.
//
// It waits for the answers of members, for a second at most, and for dials. It does
// neither if nothing is to be mended.
func (n *Node) Mend() error {
	n.presence.retell(n.Members)
	var names []string
	for _, m := range n.Members() {
		if m.Status != serf.StatusLeaving || m.Name == n.denier.self || len(names) == mostDoubtful {
			continue
		}
		if _, alive := n.presence.node(m.Name); alive {
			names = append(names, m.Name)
		}
	}
	n.ask(names...)
	ignorant := slices.DeleteFunc(n.denier.doubts(), n.knows)
	if len(ignorant) == 0 {
		return nil
	}
	return fmt.Errorf("%s: the list of members there lacks this node, which lives; most likely somebody forced it to leave with -prune. Serf takes it back only after it has left by itself: run \"leave\" at this node, and start its agent again",
		strings.Join(ignorant, ", "))
}

// ask tells members that they leave, until they deny it or denyWait has passed. One that
// does leave says nothing.
func (n *Node) ask(names ...string) {
	for _, name := range names {
		if node, alive := n.presence.node(name); alive {
			// By a stream: it arrives, or the node does not live. Its own time limit ends
			// a dial that hangs.
			go n.Memberlist().SendReliable(&node.Node, (&leaveMessage{n.memberClock(), name}).encode())
		}
	}
	for end := time.Now().Add(denyWait); len(n.leaving(names)) > 0 && time.Now().Before(end); {
		time.Sleep(denyPoll)
	}
}

// leaving are those of the names that serf does not list as alive.
func (n *Node) leaving(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	alive := map[string]bool{}
	for _, m := range n.Members() {
		alive[m.Name] = m.Status == serf.StatusAlive
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return alive[name] })
}

// knows dials a member, and tells whether its full sync lists this node then. It is true
// also if the member cannot be dialed: nothing is known of it.
func (n *Node) knows(name string) bool {
	for range knowTries {
		node, alive := n.presence.node(name)
		lacks := n.denier.lacks()
		if !alive {
			return true
		}
		if _, err := n.Memberlist().Join([]string{name + "/" + node.Address()}); err != nil || n.denier.lacks() == lacks {
			return true
		}
	}
	return false
}

// memberClock is the Lamport time that serf's next message about a member gets.
func (n *Node) memberClock() serf.LamportTime {
	t, _ := strconv.ParseUint(n.Stats()["member_time"], 10, 64) // serf has formatted it
	return serf.LamportTime(t)
}
