package wire

import (
	"net"
	"time"
)

// RequestHeader goes before each request. Seq is the client's choice and
// unique among its open requests and streams.
type RequestHeader struct {
	Command Command
	Seq     uint64
}

// ResponseHeader goes before each answer and each record of a stream. Error is
// empty on success. The other fields are agentctl's own, in the answer to an event:
// see [Published]. An empty one is not on the wire, and serf's clients skip them.
type ResponseHeader struct {
	Seq      uint64
	Error    string
	Warning  string `codec:",omitempty"`
	ID       string `codec:",omitempty"`
	HTTPAddr string `codec:",omitempty"`
}

// Published is what an agentctl agent tells of an event that it has taken. A stock
// agent, and an agent that is called as serf, leaves ID and HTTPAddr empty.
type Published struct {
	Warning  string // what the publisher should know although the event was taken
	ID       string // of the event, the same on every node
	HTTPAddr string // the agent's operations endpoint, host:port or unix:/path; "" for none
}

// BodyFollows reports whether h, as the first answer to a request of command
// c, is followed by a body.
func (h ResponseHeader) BodyFollows(c Command) bool {
	return c.HasResponse() && h.Error != ErrAuthRequired && h.Error != ErrHandshakeRequired
}

// HandshakeRequest is the body of [Handshake].
type HandshakeRequest struct {
	Version int32
}

// AuthRequest is the body of [Auth].
type AuthRequest struct {
	AuthKey string
}

// EventRequest is the body of [Event].
type EventRequest struct {
	Name     string
	Payload  []byte
	Coalesce bool
}

// ForceLeaveRequest is the body of [ForceLeave].
type ForceLeaveRequest struct {
	Node  string
	Prune bool
}

// JoinRequest is the body of [Join].
type JoinRequest struct {
	Existing []string
	Replay   bool
}

// JoinResponse tells how many nodes were reached.
type JoinResponse struct {
	Num int32
}

// MembersFilteredRequest is the body of [MembersFiltered]. Values are regular
// expressions that must match in full; an empty one matches all.
type MembersFilteredRequest struct {
	Tags   map[string]string
	Status string
	Name   string
}

// MembersResponse answers [Members] and [MembersFiltered].
type MembersResponse struct {
	Members []Member
}

// Member is one member of the cluster. Status is alive, leaving, left or
// failed. Protocol is memberlist's protocol version, Delegate serf's.
type Member struct {
	Name        string
	Addr        net.IP
	Port        uint16
	Tags        map[string]string
	Status      string
	ProtocolMin uint8
	ProtocolMax uint8
	ProtocolCur uint8
	DelegateMin uint8
	DelegateMax uint8
	DelegateCur uint8
}

// KeyRequest is the body of [InstallKey], [UseKey] and [RemoveKey]: the key in
// base64.
type KeyRequest struct {
	Key string
}

// KeyResponse answers the key commands. Messages has a text for each node that
// reported one; Keys, for [ListKeys] only, the number of nodes that hold a key.
type KeyResponse struct {
	Messages map[string]string
	Keys     map[string]int
	NumNodes int
	NumErr   int
	NumResp  int
}

// StreamRequest is the body of [Stream]; Type is an event filter such as
// "user:kong,member-join"; empty or "*" means all.
type StreamRequest struct {
	Type string
}

// StreamRecord is one event of a stream. Which fields are set depends on
// Event: Members for member-join and its like; LTime, Name, Payload and
// Coalesce for user; ID, LTime, Name and Payload for query.
//
// It is for reading. A server writes [MemberEventRecord], [UserEventRecord] or
// [QueryEventRecord], each with just the fields that stock clients expect.
type StreamRecord struct {
	Event    string
	Members  []Member
	ID       uint64
	LTime    uint64
	Name     string
	Payload  []byte
	Coalesce bool
}

// MemberEventRecord is a member event on a stream.
type MemberEventRecord struct {
	Event   string
	Members []Member
}

// UserEventRecord is a user event on a stream.
type UserEventRecord struct {
	Event    string
	LTime    uint64
	Name     string
	Payload  []byte
	Coalesce bool
}

// QueryEventRecord is a query on a stream. ID is opaque; [RespondRequest]
// gives it back.
type QueryEventRecord struct {
	Event   string
	ID      uint64
	LTime   uint64
	Name    string
	Payload []byte
}

// MonitorRequest is the body of [Monitor]; LogLevel is TRACE, DEBUG, INFO,
// WARN or ERR, in any case.
type MonitorRequest struct {
	LogLevel string
}

// LogRecord is one line of a [Monitor] stream, without its newline.
type LogRecord struct {
	Log string
}

// StopRequest ends the stream or monitor that was opened with this Seq.
type StopRequest struct {
	Stop uint64
}

// TagsRequest is the body of [Tags].
type TagsRequest struct {
	Tags       map[string]string
	DeleteTags []string
}

// QueryRequest is the body of [Query]. Timeout is in nanoseconds on the wire;
// zero means serf's default for the cluster's size.
type QueryRequest struct {
	FilterNodes []string
	FilterTags  map[string]string
	RequestAck  bool
	RelayFactor uint8
	Timeout     time.Duration
	Name        string
	Payload     []byte
}

// QueryRecord is one record of a query's answers; see [QueryAck].
type QueryRecord struct {
	Type    string
	From    string
	Payload []byte
}

// RespondRequest answers the query with this ID, as seen on a stream of the
// same connection.
type RespondRequest struct {
	ID      uint64
	Payload []byte
}

// CoordinateRequest is the body of [GetCoordinate].
type CoordinateRequest struct {
	Node string
}

// CoordinateResponse has Ok false if the agent knows no coordinate.
type CoordinateResponse struct {
	Coord Coordinate
	Ok    bool
}

// Coordinate is a Vivaldi network coordinate; all values are in seconds.
type Coordinate struct {
	Vec        []float64
	Error      float64
	Adjustment float64
	Height     float64
}
