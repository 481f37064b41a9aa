package membership

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/files"
	"agentctl/agent/peers"
)

const (
	// knownFile, in the data directory, holds the members that the last process
	// knew.
	knownFile = "members.json"
	// mostKnown is how many members are remembered, and mostLost how many of them may be
	// lost ones, if there are enough that are alive. Of more lost ones, those that were lost
	// first are forgotten.
	mostKnown = 1024
	mostLost  = mostKnown / 2
	// lostAge is for how long a lost member is looked for by its last address,
	// which by then may be another's.
	lostAge = 30 * 24 * time.Hour
)

// knownMembers are the members that this node has seen alive and that did not leave.
// Serf forgets a member that has failed for longer than its reconnect timeout, and
// after a restart knows only those that were alive at the end. A knownMembers is not
// safe for concurrent use.
type knownMembers struct {
	path      string        // where it is kept; "" for nowhere
	reconnect time.Duration // after which serf forgets a failed member
	byName    map[string]*knownMember
	kept      []byte // what is in the file
}

// knownMember is a member as it was seen last.
type knownMember struct {
	Name string    `json:"name"`
	Addr string    `json:"addr"`          // host:port
	Lost time.Time `json:"lost,omitzero"` // when it was alive last; zero while it is

	at     netip.AddrPort // Addr, once it is needed
	seen   time.Time      // alive, by this process
	listed bool           // by serf, when it was looked at last
}

// addrPort is Addr, or nothing where that is none.
func (m *knownMember) addrPort() netip.AddrPort {
	if !m.at.IsValid() {
		m.at, _ = netip.ParseAddrPort(m.Addr)
	}
	return m.at
}

// openKnown reads the members that the last process kept. An error says that the
// file could not be read. Then no members are known, and the file is never written.
func openKnown(path string, reconnect time.Duration) (*knownMembers, error) {
	k := &knownMembers{reconnect: reconnect, byName: map[string]*knownMember{}}
	if path == "" {
		return k, nil
	}
	data, err := files.ReadOwn(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	var list []*knownMember
	if err == nil {
		if err := json.Unmarshal(data, &list); err != nil {
			return k, fmt.Errorf("%s: %w", path, err)
		}
	}
	for _, known := range list[:min(len(list), mostKnown)] {
		if known != nil {
			k.byName[known.Name] = known
		}
	}
	k.path, k.kept = path, data
	return k, nil
}

// look notes how serf's members stand now, but for self.
func (k *knownMembers) look(members []serf.Member, self string, now time.Time) {
	taken := make(map[netip.AddrPort]string, len(members)) // the name of the member that is alive at an address
	listed := make(map[string]bool, len(members))
	for _, m := range members {
		if m.Name == self {
			continue
		}
		ip, _ := netip.AddrFromSlice(m.Addr)
		at := netip.AddrPortFrom(ip.Unmap(), m.Port)
		listed[m.Name] = true
		switch m.Status {
		case serf.StatusAlive:
			taken[at] = m.Name
			if known := k.byName[m.Name]; known == nil || known.addrPort() != at || !known.Lost.IsZero() {
				k.byName[m.Name] = &knownMember{Name: m.Name, Addr: peers.Addr(m), at: at}
			}
			k.byName[m.Name].seen, k.byName[m.Name].listed = now, true
		case serf.StatusFailed:
			if k.byName[m.Name] == nil {
				k.byName[m.Name] = &knownMember{Name: m.Name, Addr: peers.Addr(m), at: at}
			}
		default: // it has left, or is about to
			delete(k.byName, m.Name)
		}
	}
	for name, known := range k.byName {
		wasListed := known.listed
		if known.listed = listed[name]; known.listed && taken[known.addrPort()] == name {
			continue
		}
		if known.Lost.IsZero() {
			known.Lost = known.seen
			if known.seen.IsZero() { // it was alive at the end of the last process
				known.Lost = now
			}
		}
		lost := now.Sub(known.Lost)
		// Serf has forgotten it before its time: an operator removed it.
		removed := wasListed && !known.listed && lost < k.reconnect
		if removed || taken[known.addrPort()] != "" || !known.listed && lost > lostAge || name == self {
			delete(k.byName, name)
		}
	}
	k.trim(self)
}

// trim keeps to the limit. Nodes remember different ones of those that are alike, so that
// together they remember all.
func (k *knownMembers) trim(self string) {
	if len(k.byName) <= mostKnown {
		return
	}
	rank := map[string]uint64{}
	var alive, lost []string
	for name, known := range k.byName {
		h := fnv.New64a()
		h.Write([]byte(self + "\x00" + name))
		rank[name] = h.Sum64()
		if known.Lost.IsZero() {
			alive = append(alive, name)
		} else {
			lost = append(lost, name)
		}
	}
	slices.SortFunc(alive, func(a, b string) int { return cmp.Compare(rank[a], rank[b]) })
	slices.SortFunc(lost, func(a, b string) int {
		return cmp.Or(k.byName[b].Lost.Compare(k.byName[a].Lost), cmp.Compare(rank[a], rank[b]))
	})
	room := max(mostLost, mostKnown-len(alive)) // for lost ones
	for _, name := range lost[min(len(lost), room):] {
		delete(k.byName, name)
	}
	for _, name := range alive[min(len(alive), mostKnown-min(len(lost), room)):] {
		delete(k.byName, name)
	}
}

// lost are the members that are neither alive nor known to have left, by name.
func (k *knownMembers) lost() (lost []knownMember) {
	for _, known := range k.byName {
		if !known.Lost.IsZero() {
			lost = append(lost, *known)
		}
	}
	slices.SortFunc(lost, func(a, b knownMember) int { return cmp.Compare(a.Name, b.Name) })
	return lost
}

// keep writes what has changed for the next process.
func (k *knownMembers) keep() error {
	if k.path == "" {
		return nil
	}
	list := slices.SortedFunc(maps.Values(k.byName), func(a, b *knownMember) int { return cmp.Compare(a.Name, b.Name) })
	data, err := json.MarshalIndent(list, "", "  ")
	if err != nil || string(data) == string(k.kept) {
		return err
	}
	if err := files.Replace(k.path, data); err != nil {
		return err
	}
	k.kept = data
	return nil
}
