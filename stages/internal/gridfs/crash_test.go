package gridfs_test

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/gridfs"
	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
	"go.mongodb.org/mongo-driver/v2/bson"
)

const (
	envURL  = "WAYBILL_TEST_GRIDFS_URL"
	envStep = "WAYBILL_TEST_GRIDFS_STEP"
)

// kill -9 after every write of a Put. What is there is whole; the next Put completes
// the batch at once, and an hour later the next open removes what nobody refers to.
func TestKilledBetweenWrites(t *testing.T) {
	batch := []pipeline.Blob{large("a"), large("b"), blob("c")}
	if url := os.Getenv(envURL); url != "" {
		putAndDie(t, url, batch)
		return
	}
	for step := 1; ; step++ {
		b := newBucket(t)
		put(t, b.open(t, mongoconn.Settings{}), batch[1]) // makes the bucket
		killed := runVictim(t, b.url, step)
		if !killed {
			if step != 3 {
				t.Errorf("the victim survived step %d; a Put writes the chunks and the files", step)
			}
			return
		}
		o := b.open(t, mongoconn.Settings{})
		for _, want := range batch {
			if _, err := o.Get(t.Context(), want.Digest); err != nil && !errors.Is(err, pipeline.ErrNotFound) {
				t.Errorf("step %d: %v", step, err)
			}
		}
		put(t, o, batch...)
		const needed = 3 + 3 + 1
		if n := count(t, b.chunks, bson.M{}); (n > needed) != (step == 1) {
			t.Errorf("step %d: %d chunks: the crash left others than it must", step, n)
		}
		later := b.open(t, mongoconn.Settings{Now: func() time.Time { return time.Now().Add(2 * time.Hour) }})
		if n := count(t, b.chunks, bson.M{}); n != needed {
			t.Errorf("step %d: %d chunks after the sweep, want %d", step, n, needed)
		}
		mustGet(t, later, batch...)
	}
}

func putAndDie(t *testing.T, url string, batch []pipeline.Blob) {
	step, err := strconv.Atoi(os.Getenv(envStep))
	if err != nil {
		t.Fatal(err)
	}
	armed := false
	o, err := gridfs.DriverWith(mongoconn.Settings{Point: func(string) {
		if !armed {
			return
		}
		if step--; step == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}}).Open(t.Context(), url, "", true)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	armed = true
	put(t, o, batch...)
}

func runVictim(t *testing.T, url string, step int) (killed bool) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, "-test.run=^TestKilledBetweenWrites$")
	c.Env = append(os.Environ(), envURL+"="+url, envStep+"="+strconv.Itoa(step))
	out, err := c.CombinedOutput()
	if err == nil {
		return false
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("step %d: %v %s", step, err, out)
	}
	return true
}

// openWithSweep opens the bucket such that, after the first write of the next Put,
// somebody else opens it whose clock is ahead, and sweeps.
func openWithSweep(t *testing.T, b bucket, ahead time.Duration) pipeline.Objects {
	t.Helper()
	armed := false
	o := b.open(t, mongoconn.Settings{Point: func(string) {
		if armed {
			armed = false
			at := time.Now().Add(ahead)
			b.open(t, mongoconn.Settings{Now: func() time.Time { return at }})
		}
	}})
	armed = true
	return o
}

// A sweep leaves alone what is younger than an hour: its writer may be alive.
func TestSweepSparesTheYoung(t *testing.T) {
	b := newBucket(t)
	o := openWithSweep(t, b, 59*time.Minute)
	put(t, o, large("a"))
	mustGet(t, o, large("a"))
}

// A writer that is slower fails and says so, instead of leaving a file without its
// chunks; the next attempt succeeds.
func TestSweepStopsTheSlow(t *testing.T) {
	b := newBucket(t)
	o, a := openWithSweep(t, b, 2*time.Hour), large("a")
	if n, err := o.Put(t.Context(), []pipeline.Blob{a}); n != 0 || pipeline.KindOf(err) != pipeline.Retry {
		t.Errorf("%d, %v; want to be told to try again", n, err)
	}
	if n := count(t, b.chunks, bson.M{}); n != 0 {
		t.Errorf("%d chunks are left", n)
	}
	put(t, o, a)
	mustGet(t, o, a)
	if n := count(t, b.files, bson.M{"filename": bson.M{"$gte": "abandoned/", "$lt": "abandoned0"}}); n != 1 {
		t.Errorf("%d uploads are marked as abandoned", n)
	}
}

// A sweep begins where the last one ended.
func TestSweepGoesOn(t *testing.T) {
	b := newBucket(t)
	later := func() time.Time { return time.Now().Add(2 * time.Hour) }
	put(t, b.open(t, mongoconn.Settings{}), large("a"))
	b.open(t, mongoconn.Settings{Now: later})
	var last struct {
		Until bson.ObjectID `bson:"until"`
	}
	sweeps := b.db.Collection(b.name + ".sweeps")
	read := func() time.Time {
		t.Helper()
		if err := sweeps.FindOne(t.Context(), bson.M{}).Decode(&last); err != nil {
			t.Fatal(err)
		}
		return last.Until.Timestamp()
	}
	if off := time.Until(read()) - time.Hour; off.Abs() > time.Minute {
		t.Errorf("swept until %v", read())
	}
	before := read()
	b.open(t, mongoconn.Settings{}) // a clock that is behind sets nothing back
	if after := read(); !after.Equal(before) {
		t.Errorf("swept until %v, then %v", before, after)
	}
}
