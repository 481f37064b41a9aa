package agent

import (
	"testing"
	"testing/synctest"
	"time"
)

// Who was asked once is asked again at once, and then not for a while.
func TestAMemberIsAskedASecondTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, asked := askingPeers(t, "a")
		p.look([]string{"a"})
		synctest.Wait()
		time.Sleep(peerSilence)
		if p.mayAnswer("a", time.Now()) {
			t.Error("it may answer still")
		}
		if !p.again("a") {
			t.Error("it is not asked a second time")
		}
		if got := asked(); len(got) != 2 || !p.mayAnswer("a", time.Now()) {
			t.Errorf("asked %v", got)
		}
		time.Sleep(peerSilence)
		if p.again("a") || p.mayAnswer("a", time.Now()) {
			t.Error("it is asked a third time")
		}
		time.Sleep(peerAgain)
		if !p.again("a") {
			t.Error("it is not asked after a while")
		}
		p.set("a", true)
		if p.again("a") || p.again("nobody") {
			t.Error("a peer, or one that was never asked, is asked again")
		}
	})
}
