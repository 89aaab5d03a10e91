/** Names by which a layer archive says what is gone (OCI image-spec layer.md "Whiteouts", "Opaque Whiteout"). */
export const WHITEOUT_PREFIX = '.wh.';
export const OPAQUE_NAME = '.wh..wh..opq';
