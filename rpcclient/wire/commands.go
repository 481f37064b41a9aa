package wire

// Version is the only protocol version there is; handshake carries it.
const Version = 1

// Command is the name of a request.
type Command string

// The commands of serf's RPC protocol.
const (
	Handshake       Command = "handshake"
	Auth            Command = "auth"
	Event           Command = "event"
	ForceLeave      Command = "force-leave"
	Join            Command = "join"
	Members         Command = "members"
	MembersFiltered Command = "members-filtered"
	Stream          Command = "stream"
	Monitor         Command = "monitor"
	Stop            Command = "stop"
	Leave           Command = "leave"
	Tags            Command = "tags"
	Query           Command = "query"
	Respond         Command = "respond"
	InstallKey      Command = "install-key"
	UseKey          Command = "use-key"
	RemoveKey       Command = "remove-key"
	ListKeys        Command = "list-keys"
	Stats           Command = "stats"
	GetCoordinate   Command = "get-coordinate"
)

// bodies says which bodies belong to a command.
type bodies struct{ request, response bool }

var commands = map[Command]bodies{
	Handshake:       {request: true},
	Auth:            {request: true},
	Event:           {request: true},
	ForceLeave:      {request: true},
	Join:            {request: true, response: true},
	Members:         {response: true},
	MembersFiltered: {request: true, response: true},
	Stream:          {request: true},
	Monitor:         {request: true},
	Stop:            {request: true},
	Leave:           {},
	Tags:            {request: true},
	Query:           {request: true},
	Respond:         {request: true},
	InstallKey:      {request: true, response: true},
	UseKey:          {request: true, response: true},
	RemoveKey:       {request: true, response: true},
	ListKeys:        {response: true},
	Stats:           {response: true},
	GetCoordinate:   {request: true, response: true},
}

// Known reports whether c is a command of the protocol.
func (c Command) Known() bool { _, ok := commands[c]; return ok }

// HasRequest reports whether a body follows the request header of c.
func (c Command) HasRequest() bool { return commands[c].request }

// HasResponse reports whether the answer to c has a body; see
// [ResponseHeader.BodyFollows] for the answers that are an exception.
func (c Command) HasResponse() bool { return commands[c].response }

// Error texts that clients compare with; they are serf's to the letter.
const (
	ErrUnsupportedCommand = "Unsupported command"
	ErrUnsupportedVersion = "Unsupported IPC version"
	ErrDuplicateHandshake = "Handshake already performed"
	ErrHandshakeRequired  = "Handshake required"
	ErrMonitorExists      = "Monitor already exists"
	ErrInvalidFilter      = "Invalid event filter"
	ErrStreamExists       = "Stream with given sequence exists"
	ErrInvalidQueryID     = "No pending queries matching ID"
	ErrAuthRequired       = "Authentication required"
	ErrInvalidAuthToken   = "Invalid authentication token"
)

// Values of [QueryRecord.Type].
const (
	QueryAck      = "ack"
	QueryResponse = "response"
	QueryDone     = "done"
)
