package gossip

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/hashicorp/serf/serf"
)

// Serf's private fields are there and have the types that ReplyTo reads.
func TestReplyTo(t *testing.T) {
	for name, kind := range map[string]reflect.Kind{"addr": reflect.Slice, "port": reflect.Uint16, "relayFactor": reflect.Uint8} {
		f, ok := reflect.TypeFor[serf.Query]().FieldByName(name)
		if !ok || f.Type.Kind() != kind {
			t.Errorf("serf's query has no %s of the kind %v", name, kind)
		}
	}
	if to, relayed := ReplyTo(&serf.Query{}); to != (netip.AddrPort{}) || relayed {
		t.Errorf("an empty query has its answer sent to %v, relayed: %v", to, relayed)
	}
}
