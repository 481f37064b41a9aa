package broadcast

// Near are the neighbours that this node has chosen, in any order: links to them are kept.
// There are none in a small cluster.
func (b *Broadcast) Near() (names []string) {
	if b.tree == nil {
		return nil
	}
	t := b.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range t.chosen {
		if _, up := t.up[name]; up {
			names = append(names, name)
		}
	}
	return names
}
