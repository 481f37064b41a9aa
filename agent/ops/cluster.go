package ops

import (
	"context"
	"net/http"

	"agentctl/agent/link"
)

// cluster answers GET /v1/cluster.
func (s *Server) cluster(r *http.Request) (int, any, error) {
	if _, err := parameters(r); err != nil {
		return 0, nil, err
	}
	leave, err := s.nodes.enter(r)
	if err != nil {
		return 0, nil, err
	}
	defer leave()
	return http.StatusOK, s.fleet.Report(r.Context()), r.Context().Err()
}

// AnswerStatus answers a peer that asks how this node is, or that has this node ask others.
func (s *Server) AnswerStatus(ctx context.Context, from link.Peer, req []byte) ([]byte, error) {
	if s.fleet == nil {
		return nil, errQuestion
	}
	return s.fleet.Answer(ctx, from, req)
}
