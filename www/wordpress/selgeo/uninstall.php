<?php
/** Deleted with the plugin: what it was told. */

defined('WP_UNINSTALL_PLUGIN') || exit;

delete_option('selgeo_settings');
