package gossip

import (
	"errors"
	"reflect"

	"github.com/hashicorp/serf/serf"
)

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
