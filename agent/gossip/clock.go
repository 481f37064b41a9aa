package gossip

import (
	"errors"
	"reflect"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// serfOf finds the serf node behind the delegate that it gives memberlist. It is there
// before Create returns it. The field is private, as that of eventClockOf.
func serfOf(d memberlist.Delegate) (*serf.Serf, error) {
	if v := reflect.ValueOf(d); v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		if f := v.Elem().FieldByName("serf"); f.IsValid() && f.Type() == reflect.TypeFor[*serf.Serf]() {
			return (*serf.Serf)(f.UnsafePointer()), nil
		}
	}
	return nil, errors.New("gossip: this version of serf has another delegate")
}

// eventClockOf finds serf's event clock, which it shows as a text among all its
// statistics only. The field is private: a test fails where another version of
// serf has another one.
func eventClockOf(s *serf.Serf) (*serf.LamportClock, error) {
	f := reflect.ValueOf(s).Elem().FieldByName("eventClock")
	if !f.IsValid() || f.Type() != reflect.TypeFor[serf.LamportClock]() {
		return nil, errors.New("gossip: this version of serf keeps its event clock elsewhere")
	}
	return (*serf.LamportClock)(f.Addr().UnsafePointer()), nil
}

// Window is how many Lamport times behind its clock serf still takes a user event.
// Members keep as many, and send them again to a node that comes back.
const Window = 512
