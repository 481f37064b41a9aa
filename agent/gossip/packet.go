package gossip

import "github.com/hashicorp/memberlist"

// What memberlist adds to the one message in a packet of gossip, in bytes: the head
// of a compound message, the length of the message in it, its type, and encryption.
// Memberlist counts the first two even where it sends the message alone.
const (
	packetHead       = 2
	packetEntry      = 2
	packetType       = 1
	packetEncryption = 29
)

// MaxMessage is the largest of serf's messages that gossip carries, in bytes: 1,395
// with memberlist's defaults, and 1,366 where gossip is encrypted. A larger one stays
// in serf's queue, and other members get it with a full sync only.
func MaxMessage(conf *memberlist.Config) int {
	most := conf.UDPBufferSize - packetHead - packetEntry - packetType
	if conf.EncryptionEnabled() {
		most -= packetEncryption
	}
	return most
}
