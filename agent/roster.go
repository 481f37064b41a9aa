package agent

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"agentctl/agent/files"
	"agentctl/agent/peers"

	"github.com/hashicorp/serf/serf"
)

const (
	// rosterFile, in the data directory, is the roster of the last process.
	rosterFile = "members.json"
	// rosterMost is how many members are remembered. Of more, those that were
	// lost first are forgotten.
	rosterMost = 1024
	// rosterAge is for how long a lost member is looked for by its last address,
	// which by then may be another's.
	rosterAge = 30 * 24 * time.Hour
)

// roster is the members that this node has seen alive and that did not leave.
// Serf forgets those that fail for longer than its reconnect timeout, and after
// a restart knows those only that were alive at the end. It is not safe for
// concurrent use.
type roster struct {
	path      string        // where it is kept; "" for nowhere
	reconnect time.Duration // after which serf forgets a failed member
	seats     map[string]*seat
	kept      []byte // what is in the file
}

// seat is a member as it was seen last.
type seat struct {
	Name string    `json:"name"`
	Addr string    `json:"addr"`          // host:port
	Lost time.Time `json:"lost,omitzero"` // when it was alive last; zero while it is

	seen   time.Time // alive, by this process
	listed bool      // by serf, when it was looked at last
}

// openRoster reads the roster that the last process kept. With an error that
// file could not be read: it is left as it is, and the roster is empty.
func openRoster(path string, reconnect time.Duration) (*roster, error) {
	r := &roster{reconnect: reconnect, seats: map[string]*seat{}}
	if path == "" {
		return r, nil
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	var seats []*seat
	if err == nil {
		if err := json.Unmarshal(data, &seats); err != nil {
			return r, fmt.Errorf("%s: %w", path, err)
		}
	}
	for _, s := range seats[:min(len(seats), rosterMost)] {
		if s != nil {
			r.seats[s.Name] = s
		}
	}
	r.path, r.kept = path, data
	return r, nil
}

// look notes how serf's members stand now, but for self.
func (r *roster) look(members []serf.Member, self string, now time.Time) {
	taken := map[string]string{} // who is alive at an address
	listed := map[string]bool{}
	for _, m := range members {
		if m.Name == self {
			continue
		}
		addr := peers.Addr(m)
		listed[m.Name] = true
		switch m.Status {
		case serf.StatusAlive:
			taken[addr] = m.Name
			r.seats[m.Name] = &seat{Name: m.Name, Addr: addr, seen: now, listed: true}
		case serf.StatusFailed:
			if r.seats[m.Name] == nil {
				r.seats[m.Name] = &seat{Name: m.Name, Addr: addr}
			}
		default: // it has left, or is about to
			delete(r.seats, m.Name)
		}
	}
	for name, s := range r.seats {
		wasListed := s.listed
		if s.listed = listed[name]; s.listed && taken[s.Addr] == name {
			continue
		}
		if s.Lost.IsZero() {
			s.Lost = s.seen
			if s.seen.IsZero() { // it was alive at the end of the last process
				s.Lost = now
			}
		}
		lost := now.Sub(s.Lost)
		// Serf has forgotten it before its time: an operator removed it.
		removed := wasListed && !s.listed && lost < r.reconnect
		if removed || taken[s.Addr] != "" || !s.listed && lost > rosterAge || name == self {
			delete(r.seats, name)
		}
	}
	r.trim()
}

// trim keeps the roster within its limit.
func (r *roster) trim() {
	if len(r.seats) <= rosterMost {
		return
	}
	all := slices.SortedFunc(maps.Values(r.seats), func(a, b *seat) int {
		if alive := a.Lost.IsZero(); alive != b.Lost.IsZero() {
			if alive {
				return 1
			}
			return -1
		}
		return cmp.Or(a.Lost.Compare(b.Lost), cmp.Compare(a.Name, b.Name))
	})
	for _, s := range all[:len(all)-rosterMost] {
		delete(r.seats, s.Name)
	}
}

// lost are those that are neither alive nor known to have left, by name.
func (r *roster) lost() (lost []seat) {
	for _, s := range r.seats {
		if !s.Lost.IsZero() {
			lost = append(lost, *s)
		}
	}
	slices.SortFunc(lost, func(a, b seat) int { return cmp.Compare(a.Name, b.Name) })
	return lost
}

// keep writes what has changed for the next process.
func (r *roster) keep() error {
	if r.path == "" {
		return nil
	}
	seats := slices.SortedFunc(maps.Values(r.seats), func(a, b *seat) int { return cmp.Compare(a.Name, b.Name) })
	data, err := json.MarshalIndent(seats, "", "  ")
	if err != nil || string(data) == string(r.kept) {
		return err
	}
	if err := files.Replace(r.path, data); err != nil {
		return err
	}
	r.kept = data
	return nil
}
