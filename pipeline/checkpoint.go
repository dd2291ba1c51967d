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

// Checkpoint remembers in c what stages may change: body, metadata, artifacts,
// outputs, dependencies and receipt. It is for the engine. Of several checkpoints
// of an item only the latest may be restored, as often as need be.
func (it *Item) Checkpoint(c *Checkpoint) {
	it.sharedMeta, it.sharedArtifacts = true, true
	c.body, c.meta, c.artifacts = it.Body, it.Meta, it.Artifacts
	c.outputs, c.dependencies, c.receipt = it.Outputs, it.Dependencies, it.Receipt
}

// Restore puts the item back to a checkpoint; children that it emitted since are
// forgotten. What has been spent of the budget stays spent.
func (it *Item) Restore(c *Checkpoint) {
	it.Body, it.Meta, it.Artifacts, it.Receipt = c.body, c.meta, c.artifacts, c.receipt
	it.Outputs, it.Dependencies = c.outputs, c.dependencies
	it.sharedMeta, it.sharedArtifacts = true, true
	it.emitted = nil
}
