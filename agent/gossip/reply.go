package gossip

import (
	"net/netip"
	"reflect"

	"github.com/hashicorp/serf/serf"
)

// ReplyTo tells where an answer to a query goes, and whether other members are to relay
// it. Serf keeps both to itself; they are what the sender of the query wrote into it.
func ReplyTo(q *serf.Query) (to netip.AddrPort, relayed bool) {
	v := reflect.ValueOf(q).Elem()
	addr, _ := netip.AddrFromSlice(v.FieldByName("addr").Bytes())
	return netip.AddrPortFrom(addr.Unmap(), uint16(v.FieldByName("port").Uint())), v.FieldByName("relayFactor").Uint() > 0
}
