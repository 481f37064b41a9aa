package handler

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Type is the type of an event, spelled as serf spells it.
type Type string

// The types of events that serf has.
const (
	MemberJoin   Type = "member-join"
	MemberLeave  Type = "member-leave"
	MemberFailed Type = "member-failed"
	MemberUpdate Type = "member-update"
	MemberReap   Type = "member-reap"
	User         Type = "user"
	Query        Type = "query"
)

var types = []Type{MemberJoin, MemberLeave, MemberFailed, MemberUpdate, MemberReap, User, Query}

// Valid tells whether t is a type that serf has.
func (t Type) Valid() bool { return slices.Contains(types, t) }

// IsMember tells whether t is one of the five member types.
func (t Type) IsMember() bool {
	switch t {
	case MemberJoin, MemberLeave, MemberFailed, MemberUpdate, MemberReap:
		return true
	}
	return false
}

// Event is one event of the cluster. Events are passed by value, and nobody changes the
// payload after the event was made.
type Event struct {
	// ID names the event. For a user event or query it is the same on every
	// node, and for every replay and retry. The node makes the IDs of its member
	// events itself.
	ID   string
	Type Type
	// Name is chosen by the sender of a user event or query, and may hold any
	// bytes. Member events have none.
	Name string
	// LTime is the Lamport time of a user event or query, and 0 for a member
	// event.
	LTime uint64
	// Payload is chosen by the sender too. For a member event it has a line for
	// each member, see MemberLine: the text that serf writes to a script.
	Payload []byte
	// Time is when this node first knew of the event, by its own clock.
	Time time.Time
}

// NewUser makes a user event. Its ID is LTIME-HASH, where HASH is the first 8
// bytes, in hex, of the SHA-256 over name, a zero byte and payload.
func NewUser(ltime uint64, name string, payload []byte, t time.Time) Event {
	return Event{
		ID:      UserID(ltime, Sum(name, payload)),
		Type:    User,
		Name:    name,
		LTime:   ltime,
		Payload: payload,
		Time:    t,
	}
}

// NewQuery makes a query. Its ID is query-LTIME-HASH, with HASH as for user events.
// Queries have a Lamport clock of their own, so without the prefix a query and a user
// event could have the same ID.
func NewQuery(ltime uint64, name string, payload []byte, t time.Time) Event {
	e := NewUser(ltime, name, payload, t)
	e.ID, e.Type = "query-"+e.ID, Query
	return e
}

// NewMember makes a member event of lines that MemberLine wrote. The caller chooses the
// ID.
func NewMember(typ Type, id string, lines []byte, t time.Time) Event {
	return Event{ID: id, Type: typ, Payload: lines, Time: t}
}

// Sum returns the SHA-256 over the name of a user event, a zero byte, and its payload.
func Sum(name string, payload []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	h.Write([]byte(name))
	h.Write([]byte{0})
	h.Write(payload)
	h.Sum(sum[:0])
	return sum
}

// UserID returns the ID of a user event with a Lamport time and a Sum.
func UserID(ltime uint64, sum [sha256.Size]byte) string {
	var buf [40]byte
	return string(hex.AppendEncode(append(strconv.AppendUint(buf[:0], ltime, 10), '-'), sum[:8]))
}

// ShortSum returns the part of a Sum that stands in IDs: its first 8 bytes, in hex.
func ShortSum(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:8]) }

var cleaner = strings.NewReplacer("\t", `\t`, "\n", `\n`)

// MemberLine writes the line that serf gives a script for one member: name, address,
// role and tags with tabs between them, and a newline. Tabs and newlines within name,
// role and tags become \t and \n. Tags are k=v with commas between them, sorted by key;
// serf leaves their order to chance.
func MemberLine(name, addr, role string, tags map[string]string) []byte {
	var pairs strings.Builder
	for i, k := range slices.Sorted(maps.Keys(tags)) {
		if i > 0 {
			pairs.WriteByte(',')
		}
		pairs.WriteString(k + "=" + tags[k])
	}
	return []byte(cleaner.Replace(name) + "\t" + addr + "\t" +
		cleaner.Replace(role) + "\t" + cleaner.Replace(pairs.String()) + "\n")
}

// Body returns the body that is posted for the event. For a user event or query it is
// the payload itself, not a copy. For a member event it is
// {"type":"member-join","entity":"LINES"}, where LINES are the member lines without
// the newlines at their end. Kong's script sends the same, but does not escape it as
// JSON. Bytes that are not UTF-8 become U+FFFD, because JSON cannot carry them.
func (e *Event) Body() []byte {
	if !e.Type.IsMember() {
		return e.Payload
	}
	body := struct {
		Type   Type   `json:"type"`
		Entity string `json:"entity"`
	}{e.Type, string(bytes.TrimRight(e.Payload, "\n"))}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	// To write a struct of two strings to memory cannot fail.
	_ = enc.Encode(body)
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
