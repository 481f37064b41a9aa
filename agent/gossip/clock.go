package gossip

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// serfOf finds the serf node behind the delegate that it gives memberlist. It is there
// before Create returns it. The field is private, as those of clockOf.
func serfOf(d memberlist.Delegate) (*serf.Serf, error) {
	if v := reflect.ValueOf(d); v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		if f := v.Elem().FieldByName("serf"); f.IsValid() && f.Type() == reflect.TypeFor[*serf.Serf]() {
			return (*serf.Serf)(f.UnsafePointer()), nil
		}
	}
	return nil, errors.New("gossip: this version of serf has another delegate")
}

// clockOf finds one of serf's clocks, which it shows as a text among all its
// statistics only. The fields are private: a test fails where another version of
// serf has others.
func clockOf(s *serf.Serf, field string) (*serf.LamportClock, error) {
	f := reflect.ValueOf(s).Elem().FieldByName(field)
	if !f.IsValid() || f.Type() != reflect.TypeFor[serf.LamportClock]() {
		return nil, fmt.Errorf("gossip: this version of serf has no %s", field)
	}
	return (*serf.LamportClock)(f.Addr().UnsafePointer()), nil
}

// Window is how many Lamport times behind its clock serf still takes a user event.
// Members keep as many, and send them again to a node that comes back.
const Window = 512
