package pipeline

// Checkpoint is an item as it was before a stage. Taking one copies a few words;
// what hangs below them is copied when a stage first changes it (SetMeta,
// SetArtifact), so that the usual case, in which nothing fails, costs nothing.
// The zero Checkpoint is not one.
type Checkpoint struct {
	body         Body
	meta         map[string]string
	artifacts    []Artifact
	outputs      []Output
	dependencies []Dependency
	receipt      Digest
}

// Checkpoint remembers what stages may change: body, metadata, artifacts,
// outputs, dependencies and receipt. It is for the engine; a later checkpoint of
// the same item replaces an earlier one.
func (it *Item) Checkpoint() Checkpoint {
	it.sharedMeta, it.sharedArtifacts = true, true
	return Checkpoint{it.Body, it.Meta, it.Artifacts, it.Outputs, it.Dependencies, it.Receipt}
}

// Restore puts the item back to a checkpoint; children that it emitted since are
// forgotten. What has been spent of the budget stays spent.
func (it *Item) Restore(c Checkpoint) {
	it.Body, it.Meta, it.Artifacts, it.Receipt = c.body, c.meta, c.artifacts, c.receipt
	it.Outputs, it.Dependencies = c.outputs, c.dependencies
	it.sharedMeta, it.sharedArtifacts = true, true
	it.emitted = nil
}
