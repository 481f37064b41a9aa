package admission

import "sync"

// Share bounds what clients do at a time: each, and all together. Its methods are safe
// for concurrent use.
type Share struct {
	most, each int

	mu    sync.Mutex
	taken int
	by    map[string]int // by client
}

// NewShare makes a share of so many at a time, and of so many for each client.
func NewShare(most, each int) *Share {
	return &Share{most: most, each: each, by: map[string]int{}}
}

// Enter tells whether a client may do one more, which leave ends.
func (s *Share) Enter(client string) (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.most || s.by[client] >= s.each {
		return nil, false
	}
	s.taken++
	s.by[client]++
	return sync.OnceFunc(func() { s.leave(client) }), true
}

func (s *Share) leave(client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.by[client]--; s.by[client] == 0 {
		delete(s.by, client)
	}
}
