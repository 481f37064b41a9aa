package api

import "time"

const (
	// DefaultPage is how many events a request lists by default, and MaxPage how
	// many it lists at most.
	DefaultPage, MaxPage = 100, 10_000
	// MaxPageBytes bounds the payloads of a page. One event always fits.
	MaxPageBytes = 16 << 20
	// MaxFollowers bounds how often one client follows the events at a time. Like
	// MaxWaiting and MaxDurableWaiting it holds for each client, as its address tells it
	// from others. All clients together have twice as much.
	MaxFollowers = 16
	// MaxSearches bounds the requests that search the journal at a time. Others
	// wait for their turn for a while.
	MaxSearches = 4
	// MaxConns bounds the connections, and MaxConnsEach those of one client. Where
	// there is no room, one that waits for a request is given up for the newcomer.
	MaxConns, MaxConnsEach = 256, 192
	// MaxRequests bounds the requests that are answered at a time, health left out, and
	// MaxRequestsEach those of one client. So 64 connections at least wait for requests
	// or are asked for the health, and what each client may hold below fits in twice.
	MaxRequests, MaxRequestsEach = 192, 128
	// MaxNodesWait is how long one request waits for all nodes at most.
	// MaxWaiting bounds the requests of one client that wait so at a time.
	MaxNodesWait, MaxWaiting = 20 * time.Second, 16
	// MaxDurable is how many nodes a durable publish asks for at most. It waits for
	// DurableWait by default, and for MaxNodesWait at most.
	MaxDurable, DurableWait = 10_000, 10 * time.Second
	// MaxDurableWaiting bounds the durable publishes of one client that wait at a time.
	MaxDurableWaiting = 32
	// MaxReplayIDs bounds the IDs that a replay names.
	MaxReplayIDs = 10_000
	// MaxRequest bounds the JSON body of a request, in bytes. The largest event
	// fits in base64.
	MaxRequest = 2 << 20
)

// ErrorReport says what was wrong, and what to do.
type ErrorReport struct {
	Error string `json:"error"`
}
