package gossip

import (
	"bytes"
	"errors"
	"reflect"
	"sync"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/serf/serf"
)

// localState makes what a node tells in a full sync, as serf's delegate does. Serf has its
// buffer grow to the size, and throws away more than it tells: 3 MiB for the 2 MiB of a
// batch of events. Here the buffer is made once. The fields are serf's own and private, as
// those of clockOf.
type localState struct {
	clock, queries *serf.LamportClock
	lock           *sync.RWMutex // of members and left
	members, left  reflect.Value // of serf's memberState
	recent         *recent
}

// localStateOf finds what a node tells. It is there once Create has returned.
func localStateOf(s *serf.Serf, r *recent) (*localState, error) {
	v := reflect.ValueOf(s).Elem()
	l := &localState{members: v.FieldByName("members"), left: v.FieldByName("leftMembers"), recent: r}
	var err, queryErr error
	l.clock, err = clockOf(s, "clock")
	l.queries, queryErr = clockOf(s, "queryClock")
	if err = errors.Join(err, queryErr); err != nil {
		return nil, err
	}
	lock := v.FieldByName("memberLock")
	if !lock.IsValid() || lock.Type() != reflect.TypeFor[sync.RWMutex]() ||
		!l.members.IsValid() || l.members.Kind() != reflect.Map || l.members.Type().Key() != reflect.TypeFor[string]() || !isMemberState(l.members.Type().Elem()) ||
		!l.left.IsValid() || l.left.Kind() != reflect.Slice || !isMemberState(l.left.Type().Elem()) {
		return nil, errors.New("gossip: this version of serf keeps its members in another way")
	}
	l.lock = (*sync.RWMutex)(lock.Addr().UnsafePointer())
	return l, nil
}

// isMemberState tells whether a type is a pointer to a member with the time of its status.
func isMemberState(t reflect.Type) bool {
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return false
	}
	member, is := t.Elem().FieldByName("Member")
	ltime, has := t.Elem().FieldByName("statusLTime")
	return is && has && member.Type == reflect.TypeFor[serf.Member]() && ltime.Type == reflect.TypeFor[serf.LamportTime]()
}

// encode is what serf's LocalState returns.
func (l *localState) encode() ([]byte, error) {
	l.lock.RLock()
	defer l.lock.RUnlock()
	l.recent.lock.RLock()
	defer l.recent.lock.RUnlock()
	s := syncState{
		LTime: l.clock.Time(), EventLTime: l.recent.clock.Time(), QueryLTime: l.queries.Time(),
		StatusLTimes: make(map[string]serf.LamportTime, l.members.Len()), LeftMembers: make([]string, 0, l.left.Len()),
		Events: *l.recent.buffer,
	}
	for all := l.members.MapRange(); all.Next(); {
		s.StatusLTimes[all.Key().String()] = serf.LamportTime(all.Value().Elem().FieldByName("statusLTime").Uint())
	}
	for i := range l.left.Len() {
		s.LeftMembers = append(s.LeftMembers, l.left.Index(i).Elem().FieldByName("Member").FieldByName("Name").String())
	}
	return s.encode()
}

// encode is the full sync as serf sends it.
func (s *syncState) encode() ([]byte, error) {
	buf := bytes.NewBuffer(make([]byte, 0, s.size()))
	buf.WriteByte(syncStateType)
	err := codec.NewEncoder(buf, &userMessageFormat).Encode(s)
	return buf.Bytes(), err
}

// size is how long encode becomes at most.
func (s *syncState) size() int {
	// Each comes with the names of its fields, and lengths and numbers of up to 9 bytes.
	const head, eachName, eachTime, eachEvent = 160, 14, 32, 24
	n := head
	for name := range s.StatusLTimes {
		n += eachName + len(name)
	}
	for _, name := range s.LeftMembers {
		n += eachName + len(name)
	}
	for _, of := range s.Events {
		if n++; of == nil {
			continue
		}
		n += eachTime
		for i := range of.Events {
			n += eachEvent + len(of.Events[i].Name) + len(of.Events[i].Payload)
		}
	}
	return n
}
