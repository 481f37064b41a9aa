package ops

import (
	"errors"
	"net/http"

	"agentctl/agent/api"
	"agentctl/handler/journal"
)

// dismiss forgets burials of a target: those of some events, or all.
func (h *history) dismiss(r *http.Request) (int, any, error) {
	var req api.DismissRequest
	if _, err := parameters(r); err != nil {
		return 0, nil, err
	}
	if err := readRequest(r, &req); err != nil {
		return 0, nil, err
	}
	switch n := len(req.IDs); {
	case (n > 0) == req.All:
		return 0, nil, errorf(http.StatusBadRequest, "say which burials: exactly one of ids and all")
	case n > api.MaxReplayIDs:
		return 0, nil, errorf(http.StatusBadRequest, "ids: %d are more than %d: ask in parts", n, api.MaxReplayIDs)
	}
	t, err := h.target(req.Target)
	if err != nil {
		return 0, nil, err
	}
	seqs, buried := map[string]uint64{}, t.Delivery.Buried()
	for _, b := range buried {
		seqs[b.Event.ID] = b.Seq
	}
	chosen := map[uint64]struct{}{} // each once
	for _, id := range req.IDs {
		seq, ok := seqs[id]
		if !ok {
			return 0, nil, errorf(http.StatusNotFound, "event %q is not buried for target %s", id, t.Name)
		}
		chosen[seq] = struct{}{}
	}
	if req.All {
		for _, seq := range seqs {
			chosen[seq] = struct{}{}
		}
	}
	list := make([]uint64, 0, len(chosen))
	for seq := range chosen {
		list = append(list, seq)
	}
	if err := t.Delivery.Dismiss(list...); err != nil {
		if _, gone := errors.AsType[*journal.NotBuriedError](err); gone {
			return 0, nil, errorf(http.StatusConflict, "%v; nothing was dismissed: ask again", err)
		}
		return 0, nil, err
	}
	status, _ := h.journal.CursorStatus(t.Name)
	return http.StatusOK, api.DismissReport{Target: t.Name, Dismissed: len(list), BuriedNow: status.Buried}, nil
}
